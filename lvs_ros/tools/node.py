# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs node``: run the segmentation node; the same as the executable ``lvs_node``."""

import argparse

from lvs_ros.node.executable import main


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take ROS arguments as every node does."""
    parser.add_argument(
        '--ros-args', nargs=argparse.REMAINDER, default=[], metavar='...',
        help='parameters and remappings: -p threshold:=0.2, --params-file config/lvs.yaml, '
             '-r image_raw:=/camera/image_raw')


def run(args: argparse.Namespace) -> int:
    """Run the node until it is told to stop."""
    return main(['--ros-args', *args.ros_args])
