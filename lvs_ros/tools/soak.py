# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs soak``: run the node for long, or with faulty messages, and check masks and memory."""

from __future__ import annotations

import argparse
import math
import pathlib
import sys
import time

from lvs_ros.benchmark.clip import street_clip
from lvs_ros.benchmark.faults import report as fault_report
from lvs_ros.benchmark.faults.decoder_run import probe_decoders
from lvs_ros.benchmark.faults.node_run import probe_nodes
from lvs_ros.benchmark.memory_growth import judge_memory
from lvs_ros.benchmark.soak import run_soak
from lvs_ros.benchmark.soak_report import JSON, PICTURE, SoakReport
from lvs_ros.errors import ConfigurationError
from lvs_ros.model import find_model
from lvs_ros.options import PipelineOptions
from lvs_ros.tools.image_size import image_size
from lvs_ros.tools.pipeline_options import DEVICE, add_options, pipeline_options
from lvs_ros.tools.report_folder import report_folder

_SIZE, _FAULTS_SIZE = (480, 360), (160, 120)
_FEWEST_MESSAGES = 100
_TOLERANCE = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``lvs soak``."""
    parser.add_argument('--frames', metavar='N', type=int, default=10_000,
                        help='images to send, each when the mask of the last one has come '
                             '(default: %(default)s)')
    parser.add_argument('--size', metavar='WxH', type=image_size,
                        help='of the images (default: 480x360, or 160x120 with --faults)')
    faults = parser.add_argument_group('faulty messages instead of a long drive')
    faults.add_argument('--faults', action='store_true',
                        help='send malformed, damaged and unusual messages, and look at what the '
                             'nodes and the decoders make of them')
    faults.add_argument('--messages', metavar='N', type=int, default=20_000,
                        help='to nodes, over DDS (default: %(default)s)')
    faults.add_argument('--decodes', metavar='N', type=int, default=100_000,
                        help='messages to the decoders alone (default: %(default)s)')
    faults.add_argument('--seed', metavar='N', type=int, default=1,
                        help='makes the same messages again (default: %(default)s)')
    add_options(parser, 'model', 'threshold', 'max_key_age_frames', *DEVICE)
    parser.add_argument('--tolerance', metavar='MIB', type=float, default=_TOLERANCE,
                        help="trend of the node's resident memory over the second half of the "
                             'frames that still passes (default: %(default)g)')
    parser.add_argument('--out', metavar='DIR', type=pathlib.Path,
                        help=f'folder to be written: {JSON}, {PICTURE}; with --faults '
                             f'{fault_report.JSON}, and the messages that did harm')
    parser.add_argument('--force', action='store_true', help='replace an earlier soak')
    parser.add_argument('--domain-id', metavar='N', type=int,
                        help='ROS domain (default: one without other nodes)')


def run(args: argparse.Namespace) -> int:
    """Run ``lvs soak``; return 1 when the memory grows, or a fault does harm."""
    if not (math.isfinite(args.tolerance) and args.tolerance >= 0):
        raise ConfigurationError(f'--tolerance {args.tolerance}: expected a number from 0 on')
    options = pipeline_options(args)
    find_model(options.model)    # or it would be the node that says so, later
    report = (_faults if args.faults else _frames)(args, options)
    print(report.text)
    if args.out is not None:
        print(f'{args.out}: {fault_report.JSON if args.faults else f"{JSON}, {PICTURE}"}')
    if report.passes:
        return 0
    print(f'lvs soak: {report.verdict}', file=sys.stderr)
    return 1


def _frames(args: argparse.Namespace, options: PipelineOptions) -> SoakReport:
    size = args.size or _SIZE
    with report_folder(args, marker=JSON) as folder:
        soaked = run_soak(options, size=size, frames=args.frames, domain_id=args.domain_id)
        report = SoakReport(soaked, judge_memory(soaked.memory, tolerance=args.tolerance),
                            options, size)
        if folder is not None:
            report.write(folder)
    return report


def _faults(args: argparse.Namespace, options: PipelineOptions) -> fault_report.FaultReport:
    for name in ('messages', 'decodes'):
        if getattr(args, name) < _FEWEST_MESSAGES:
            raise ConfigurationError(f'--{name} {getattr(args, name)}: expected '
                                     f'{_FEWEST_MESSAGES} or more')
    size = args.size or _FAULTS_SIZE
    with report_folder(args, marker=fault_report.JSON) as folder:
        start_s = time.monotonic()
        picture = street_clip(size, rate_hz=1, length=1)[0]
        decoders = probe_decoders(picture, seed=args.seed, decodes=args.decodes)
        nodes = probe_nodes(options, picture, seed=args.seed, messages=args.messages,
                            domain_id=args.domain_id)
        report = fault_report.FaultReport(args.seed, nodes, decoders, options, size,
                                          args.tolerance, time.monotonic() - start_s)
        if folder is not None:
            report.write(folder)
    return report
