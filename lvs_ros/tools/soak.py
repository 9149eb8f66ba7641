# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs soak``: run the node for thousands of frames, and see whether its memory stays flat."""

from __future__ import annotations

import argparse
import contextlib
import math
import pathlib
import sys

from lvs_ros.benchmark.memory_growth import judge_memory
from lvs_ros.benchmark.soak import run_soak
from lvs_ros.benchmark.soak_report import JSON, PICTURE, SoakReport
from lvs_ros.data.output_folder import output_folder
from lvs_ros.errors import ConfigurationError
from lvs_ros.model import find_model
from lvs_ros.pipeline.build import check_options
from lvs_ros.tools.image_size import image_size
from lvs_ros.tools.interruption import interrupted_once
from lvs_ros.tools.pipeline_options import (add_device_arguments, add_max_key_age_argument,
                                            add_model_argument, add_threshold_argument,
                                            pipeline_options)

_SIZE = (480, 360)
_TOLERANCE = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``lvs soak``."""
    parser.add_argument('--frames', metavar='N', type=int, default=10_000,
                        help='images to send, each when the mask of the last one has come '
                             '(default: %(default)s)')
    parser.add_argument('--size', metavar='WxH', type=image_size, default=_SIZE,
                        help='of the images (default: 480x360)')
    add_model_argument(parser)
    add_threshold_argument(parser)
    add_max_key_age_argument(parser)
    add_device_arguments(parser)
    parser.add_argument('--tolerance', metavar='MIB', type=float, default=_TOLERANCE,
                        help="trend of the node's resident memory over the second half of the "
                             'frames that still passes (default: %(default)g)')
    parser.add_argument('--out', metavar='DIR', type=pathlib.Path,
                        help=f'folder to be written: {JSON}, {PICTURE}')
    parser.add_argument('--force', action='store_true', help='replace an earlier soak')
    parser.add_argument('--domain-id', metavar='N', type=int,
                        help='ROS domain (default: one in which nobody is)')


def run(args: argparse.Namespace) -> int:
    """Run ``lvs soak``; return 1 when the memory grows."""
    if not (math.isfinite(args.tolerance) and args.tolerance >= 0):
        raise ConfigurationError(f'--tolerance {args.tolerance}: expected a number from 0 on')
    options = pipeline_options(args)
    check_options(options)
    find_model(options.model)    # or it would be the node that says so, later
    with contextlib.ExitStack() as stack:
        stack.enter_context(interrupted_once())
        folder = None if args.out is None else stack.enter_context(
            output_folder(args.out, marker=JSON, force=args.force))
        soaked = run_soak(options, size=args.size, frames=args.frames, domain_id=args.domain_id)
        report = SoakReport(soaked, judge_memory(soaked.memory, tolerance=args.tolerance),
                            options, args.size)
        if folder is not None:
            report.write(folder)
    print(report.text)
    if args.out is not None:
        print(f'{args.out}: {JSON}, {PICTURE}')
    if report.growth.passes:
        return 0
    print(f'lvs soak: {report.verdict}', file=sys.stderr)
    return 1
