# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs street``: the synthetic street, published as a camera or written as labelled drives."""

from __future__ import annotations

import argparse
import math
import pathlib

import cv2
from tqdm import tqdm

from lvs_ros.datasets.frame_times import SIDECAR
from lvs_ros.errors import ConfigurationError, ros_needed
from lvs_ros.output_folder import output_folder
from lvs_ros.shared_memory import prepare_shared_memory
from lvs_ros.street import StreetScene
from lvs_ros.street.drive_files import write_drive
from lvs_ros.tools.image_size import image_size
from lvs_ros.tools.interruption import interrupted_once
from lvs_ros.tools.numbers import check_positive

ORIGIN_TEXT = 'the drive begins at stamp (ns): '
"""What the tool prints before the stamp from which an image can be drawn again."""

WRITTEN_S = 5.0
"""Length of a written drive."""


def add_street_arguments(parser: argparse.ArgumentParser, *, seed: int) -> None:
    """Declare what is filmed, and how: --rate, --size and --seed.

    :param seed: the default
    """
    parser.add_argument('--rate', metavar='HZ', type=float, default=15.0,
                        help='images a second (default: %(default)s)')
    parser.add_argument('--size', metavar='WxH', type=image_size, default=(480, 360),
                        help='64x48 to 2048x1024 pixels (default: 480x360)')
    parser.add_argument('--seed', metavar='N', type=int, default=seed,
                        help='another street, another weather (default: %(default)s)')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``lvs street``."""
    add_street_arguments(parser, seed=0)
    parser.add_argument('--duration', metavar='S', type=float,
                        help='stop after this many seconds (default: on Ctrl-C; of each drive '
                             f'with --out: {WRITTEN_S:g})')
    files = parser.add_argument_group('labelled drives as files, in place of a camera')
    files.add_argument('--out', metavar='DIR', type=pathlib.Path,
                       help=f'folder to be written: images/, labels/ and {SIDECAR}, to be read '
                            'with --camvid DIR by the other commands')
    files.add_argument('--drives', metavar='N', type=int, default=1,
                       help='with the seeds from --seed on (default: %(default)s)')
    files.add_argument('--begin', metavar='S', type=float, default=0.0,
                       help='time of the street at which each drive begins (default: '
                            '%(default)s)')
    files.add_argument('--force', action='store_true', help='replace earlier drives')
    parser.add_argument('--topic', metavar='T', default='image_raw',
                        help='topic to publish on (default: %(default)s)')
    parser.add_argument('--prepare', metavar='S', type=float, default=0.0,
                        help='draw so many seconds of the drive before it begins: then drawing '
                             'takes no processor time from the node (default: %(default)s)')
    parser.add_argument('--wait-for', metavar='N', type=int, default=0,
                        help='begin when there are so many subscribers (default: at once)')
    parser.add_argument('--origin-ns', metavar='NS', type=int,
                        help='stamp, in nanoseconds, at which the drive begins (default: the time '
                             'of the start, which is printed). With it and the seed an image can '
                             'be drawn again from its stamp, and its labels')


def run(args: argparse.Namespace) -> int:
    """Run ``lvs street``."""
    check_positive(args, 'duration')
    if args.out is not None:
        return _write(args)
    if args.drives != 1 or args.begin:
        raise ConfigurationError('--drives and --begin are of written drives: expected --out DIR, '
                                 'too')
    if not (math.isfinite(args.prepare) and args.prepare >= 0):
        raise ConfigurationError(f'--prepare {args.prepare}: expected 0 or more')
    prepare_shared_memory('lvs street')
    with ros_needed('the camera'):
        from lvs_ros.tool_nodes.street_camera import StreetCamera
    # The other cores are for the network.
    cv2.setNumThreads(1)
    width, height = args.size
    scene = StreetScene(seed=args.seed, width=width, height=height)
    with interrupted_once(), StreetCamera(
            scene, topic=args.topic, rate_hz=args.rate, origin_ns=args.origin_ns) as camera:
        print(f'{width}x{height} at {args.rate:g} Hz on {camera.topic} (Ctrl-C to stop)',
              flush=True)
        try:
            if args.prepare:
                print(f'{camera.prepare(args.prepare)} images drawn in advance', flush=True)
            camera.wait_for_subscribers(args.wait_for)
            print(f'{ORIGIN_TEXT}{camera.start()}', flush=True)
            camera.film(duration_s=args.duration)
        except KeyboardInterrupt:
            pass
        print(f'published {camera.published} images'
              + (f'; {camera.skipped} could not be drawn in time' if camera.skipped else ''),
              flush=True)
    return 0


def _write(args: argparse.Namespace) -> int:
    check_positive(args, 'rate', 'drives')
    duration_s = WRITTEN_S if args.duration is None else args.duration
    width, height = args.size
    frames = round(duration_s * args.rate)
    if frames < 1:
        raise ConfigurationError(f'--duration {duration_s:g} at --rate {args.rate:g}: not one '
                                 'image; expected a longer duration')
    with interrupted_once(), output_folder(args.out, marker=SIDECAR, force=args.force) as folder:
        folder.mkdir()
        with tqdm(total=args.drives * frames, unit='image', disable=None) as progress:
            for seed in range(args.seed, args.seed + args.drives):
                write_drive(folder, StreetScene(seed=seed, width=width, height=height),
                            rate_hz=args.rate, duration_s=duration_s, begin_s=args.begin,
                            on_frame=progress.update)
    print(f'{args.drives} drives of {frames} labelled images written to {args.out}')
    return 0
