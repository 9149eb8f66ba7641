# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs benchmark``: how long everything takes on this computer."""

import argparse
import contextlib
import dataclasses
import pathlib

from lvs_ros.benchmark.benchmark import run_benchmark
from lvs_ros.benchmark.clip import recorded_clip, street_clip
from lvs_ros.benchmark.plan import Plan
from lvs_ros.benchmark.random_model import random_model
from lvs_ros.benchmark.report import JSON, PICTURE, TEXT, as_text, write_report
from lvs_ros.model import VARIANTS
from lvs_ros.model.checkpoint import model_title
from lvs_ros.tools.image_size import image_size
from lvs_ros.tools.pipeline_options import DEVICE, add_options, pipeline_options
from lvs_ros.tools.recording_options import add_recording, add_recording_details, recording_of
from lvs_ros.tools.report_folder import report_folder


RATE_HZ = 15.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``lvs benchmark``."""
    images = parser.add_mutually_exclusive_group()
    images.add_argument('--size', metavar='WxH', type=image_size, default=(480, 360),
                        help='of the images, which are those of a synthetic street (default: '
                             '480x360)')
    add_recording(images, '--recording', help='in place of the street your own images, at their '
                                              'size: ')
    add_recording_details(parser)
    model = parser.add_mutually_exclusive_group()
    add_options(model, 'model')
    model.add_argument('--variant', choices=tuple(VARIANTS),
                       help='in place of a model, an architecture with random weights')
    parser.add_argument('--out', metavar='DIR', type=pathlib.Path,
                        help=f'folder to be written: {JSON}, MODEL_{TEXT}, MODEL_{PICTURE}')
    parser.add_argument('--force', action='store_true', help='replace an earlier benchmark')
    parser.add_argument('--frames', metavar='N', type=int, default=150,
                        help='frames to measure a row; a p99 takes 100 or more (default: '
                             '%(default)s)')
    parser.add_argument('--rate', metavar='HZ', type=float,
                        help=f'of the camera (default: that of the recording, else {RATE_HZ:g})')
    parser.add_argument('--no-dds', action='store_true',
                        help='leave out the way over DDS, which starts the node')
    add_options(parser, 'threshold', 'max_key_age_frames', *DEVICE, 'realtime_priority')


def run(args: argparse.Namespace) -> int:
    """Run ``lvs benchmark``."""
    with report_folder(args, marker=JSON) as folder, contextlib.ExitStack() as stack:
        options = pipeline_options(args)
        if args.variant is not None:
            options = dataclasses.replace(
                options, model=stack.enter_context(random_model(args.variant)))
        plan = Plan(options, _title(args), rate_hz=RATE_HZ if args.rate is None else args.rate,
                    frames=args.frames)
        if args.recording is None:
            name, clip = 'synthetic street', street_clip(args.size, rate_hz=plan.rate_hz)
        else:
            footage = recording_of(args)
            name, (clip, rate_hz) = footage.name, recorded_clip(footage)
            if args.rate is None and rate_hz is not None:
                plan = dataclasses.replace(plan, rate_hz=rate_hz)
        benchmark = run_benchmark(plan, clip, images=name, dds=not args.no_dds)
        print(as_text(benchmark))
        if folder is not None:
            write_report(folder, benchmark)
    if args.out is not None:
        print(f'written to {args.out}')
    return 0


def _title(args: argparse.Namespace) -> str:
    return f'{args.variant}, random weights' if args.variant else model_title(args.model)
