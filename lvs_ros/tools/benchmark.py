# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs benchmark``: how long everything takes on this computer."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import pathlib
import textwrap
from typing import TYPE_CHECKING, Callable

from lvs_ros.benchmark.benchmark import run_benchmark
from lvs_ros.benchmark.clip import Clip, recorded_clip, street_clip
from lvs_ros.benchmark.findings import notes
from lvs_ros.benchmark.plan import Plan
from lvs_ros.benchmark.random_model import random_model
from lvs_ros.benchmark.report import JSON, MARKDOWN, PICTURE, write_report
from lvs_ros.benchmark.stages import ros_messages
from lvs_ros.benchmark.tables import headline, terminal_tables
from lvs_ros.errors import ConfigurationError
from lvs_ros.evaluation.clock import RealClock
from lvs_ros.model import VARIANTS, find_model
from lvs_ros.output_folder import output_folder
from lvs_ros.pipeline.build import check_options, choose_device
from lvs_ros.tables import WIDTH
from lvs_ros.tools.image_size import image_size
from lvs_ros.tools.interruption import interrupted_once
from lvs_ros.tools.pipeline_options import (add_device_arguments, add_max_key_age_argument,
                                            add_model_argument, add_thread_arguments,
                                            add_threshold_argument, pipeline_options)

if TYPE_CHECKING:
    from lvs_ros.benchmark.over_dds import OverDds

_SIZE = (480, 360)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``lvs benchmark``."""
    parser.add_argument('--size', metavar='WxH', type=image_size,
                        help='of the images (default: 480x360, or that of the recording)')
    model = parser.add_mutually_exclusive_group()
    add_model_argument(model)
    model.add_argument('--variant', choices=tuple(VARIANTS),
                       help='in place of a model, an architecture with random weights')
    parser.add_argument('--out', metavar='DIR', type=pathlib.Path,
                        help=f'folder to be written: {JSON}, {MARKDOWN}, {PICTURE}')
    parser.add_argument('--force', action='store_true', help='replace an earlier benchmark')
    parser.add_argument('--frames', metavar='N', type=int, default=150,
                        help='frames to measure of each track (default: %(default)s)')
    parser.add_argument('--limit-s', metavar='S', type=float, default=60.0,
                        help='fewer where they would take longer than this a track (default: '
                             '%(default)s)')
    parser.add_argument('--rate', metavar='HZ', type=float, default=15.0,
                        help='of the camera (default: %(default)s)')
    parser.add_argument('--recording', metavar='PATH', type=pathlib.Path,
                        help='images of a recording (rosbag2 folder, .mcap, .db3, ROS 1 .bag), a '
                             'folder of images or a video file (default: the synthetic street)')
    parser.add_argument('--topic', metavar='T',
                        help='image topic of the recording; needed where it has several')
    parser.add_argument('--no-dds', action='store_true',
                        help='leave out the way over DDS, which starts the node')
    add_threshold_argument(parser)
    add_max_key_age_argument(parser)
    add_device_arguments(parser)
    add_thread_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run ``lvs benchmark``."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(interrupted_once())  # so that the partial folder is removed
        folder = None if args.out is None else stack.enter_context(
            output_folder(args.out, marker=JSON, force=args.force))
        plan = _checked_plan(args)
        if plan.random_weights:
            path = stack.enter_context(random_model(args.variant))
            plan = dataclasses.replace(
                plan, options=dataclasses.replace(plan.options, model=path))
        clip = _clip(args)
        messages, without_messages = ros_messages()
        measure_dds, without_dds = _dds(args, plan, clip)
        benchmark = run_benchmark(
            plan, clip, RealClock(), measure_dds=measure_dds, messages=messages,
            left_out=[reason for reason in (without_messages, without_dds) if reason])
        print(textwrap.fill(headline(benchmark), WIDTH), terminal_tables(benchmark),
              sep='\n\n', end='\n\n')
        for note in notes(benchmark):
            print(textwrap.fill(note, WIDTH))
        if folder is not None:
            write_report(folder, benchmark)
    if args.out is not None:
        print(f'written to {args.out}: {JSON}, {MARKDOWN}, {PICTURE}')
    return 0


def _checked_plan(args: argparse.Namespace) -> Plan:
    """Return the plan; what is wrong shows before anything is drawn or measured."""
    options = pipeline_options(args)
    plan = Plan(options=options,
                model=args.variant or find_model(args.model).stem,
                random_weights=args.variant is not None, rate_hz=args.rate, frames=args.frames,
                limit_s=args.limit_s)
    plan.check()
    check_options(options)
    choose_device(options.device)
    if args.topic is not None and args.recording is None:
        raise ConfigurationError('--topic names the image topic of a --recording, which is not '
                                 'given')
    return plan


def _clip(args: argparse.Namespace) -> Clip:
    if args.recording is not None:
        return recorded_clip(args.recording, size=args.size, topic=args.topic)
    return street_clip(args.size or _SIZE, rate_hz=args.rate)


def _dds(args: argparse.Namespace, plan: Plan, clip: Clip
         ) -> tuple[Callable[[], OverDds] | None, str | None]:
    """Return what measures the way over DDS, or why it is left out."""
    if args.no_dds:
        return None, None
    try:
        from lvs_ros.benchmark.over_dds import measure_over_dds
    except ModuleNotFoundError as error:
        return None, (f'The way over DDS was left out: it needs ROS 2, and {error.name} is not '
                      'there. Source the setup file of a ROS installation, or env.sh.')
    width, height = clip.size
    return functools.partial(measure_over_dds, plan.options, width=width, height=height,
                             rate_hz=plan.rate_hz, frames=plan.frames), None
