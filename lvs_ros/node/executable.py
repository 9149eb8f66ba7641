# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The executable ``lvs_node`` before ROS and torch are loaded, which takes seconds."""

from __future__ import annotations

import os
import signal
import sys
from typing import Sequence

from lvs_ros import exit_codes
from lvs_ros.errors import ConfigurationError, LvsError, ros_needed
from lvs_ros.launcher_watch import ended_with_launcher
from lvs_ros.program_settings import prepare_process
from lvs_ros.shared_memory import prepare_shared_memory

_LAST_DOMAIN_ID = 232


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node until it is told to stop.

    :param arguments: the command line without the name of the program; None = that of the process.
    :returns: one of :mod:`lvs_ros.exit_codes`.
    """
    try:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        with ended_with_launcher(os.environ):
            prepare_process()
            _check_domain_id(os.environ.get('ROS_DOMAIN_ID', ''))
            prepare_shared_memory('lvs_node')
            with ros_needed('the node'):
                from lvs_ros.node.main import main as run_node
            return run_node(arguments)
    except LvsError as error:
        print(f'lvs_node: error: {error}', file=sys.stderr)
        return exit_codes.USER_ERROR
    except KeyboardInterrupt:
        return exit_codes.OK


def _check_domain_id(text: str) -> None:
    """Refuse what Fast DDS, later, ends the process for as if it had crashed."""
    if text.isdecimal() and int(text) > _LAST_DOMAIN_ID:
        raise ConfigurationError(f'ROS_DOMAIN_ID={text}: expected 0 to {_LAST_DOMAIN_ID}')


if __name__ == '__main__':
    sys.exit(main())
