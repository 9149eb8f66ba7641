# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs health``: ask a running node for its condition, as the health check of a container does."""

import argparse

from lvs_ros import exit_codes
from lvs_ros.errors import ros_needed
from lvs_ros.tools.numbers import check_positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which node, and how long to wait for it."""
    parser.add_argument('--node', default='/lvs', metavar='NAME',
                        help='full name of the node (default: %(default)s)')
    parser.add_argument('--timeout', type=float, default=8.0, metavar='S',
                        help='longest time to wait for its next diagnostics (default: '
                             '%(default)s); longer than its diagnostics_period_s')


def run(args: argparse.Namespace) -> int:
    """Print what the node says; exit code 1 where it says ERROR, or nothing."""
    check_positive(args, 'timeout')
    with ros_needed('the health check'):
        from lvs_ros.tool_nodes.condition import ConditionListener
    with ConditionListener(args.node) as listener:
        is_healthy, text = listener.wait(args.timeout)
    print(text)
    return exit_codes.OK if is_healthy else exit_codes.FAILED
