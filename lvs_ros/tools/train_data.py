# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The options of ``lvs train`` that say what to train on."""

import argparse
import dataclasses
import pathlib
from typing import Any

from lvs_ros.labels import load_label_set
from lvs_ros.training.data_options import DataOptions


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them, in groups of their own."""
    _add_labelled(parser.add_argument_group(
        'labelled data', 'What the network stage needs; mixed with the synthetic street.'))
    _add_unlabelled(parser.add_argument_group(
        'drives without labels', 'Enough for the other two stages: the full network given by '
        '--init labels the frames once, and its masks are the labels.'))
    _add_street(parser.add_argument_group('synthetic street', 'Labelled clips in real time.'))
    frames = parser.add_argument_group('frames')
    frames.add_argument('--size', nargs=2, type=int, metavar=('W', 'H'),
                        help='scale all frames to this size (default: as they are)')
    frames.add_argument('--crop', nargs=2, type=int, metavar=('H', 'W'),
                        help='size of the training crops (default: the whole frame)')
    frames.add_argument('--memory-gb', type=float, default=DataOptions.memory_gb, metavar='GB',
                        help='hold a data set on the training device up to this size; read a '
                             'larger one while the training goes on (default: %(default)s)')


def data_options(args: argparse.Namespace) -> DataOptions:
    """Return what was asked for.

    :raises ConfigurationError: when options do not go together.
    """
    given: dict[str, Any] = {field.name: getattr(args, field.name)
                             for field in dataclasses.fields(DataOptions)}
    options = DataOptions(**{**given, 'size': args.size and tuple(args.size),
                             'labels': args.labels and load_label_set(args.labels)})
    options.check()
    return options


def _add_labelled(group: argparse._ArgumentGroup) -> None:
    group.add_argument('--camvid', type=pathlib.Path, metavar='DIR',
                       help='a folder in the layout of CamVid: images/NAME.jpg, labels/NAME.png; '
                            'docs/data.md says which other files and names are taken')
    group.add_argument('--cityscapes', type=pathlib.Path, metavar='DIR',
                       help='the root of Cityscapes (leftImg8bit, gtFine, and '
                            'leftImg8bit_sequence if it is there); its train split is taken')
    group.add_argument('--data', type=pathlib.Path, metavar='LIST',
                       help='a .csv or .json list of images, labels, times and drives, of any '
                            'layout; needs --labels; docs/data.md has examples')
    group.add_argument('--labels', metavar='SET',
                       help='label set of the labels: a name in config/labels/ or a .yaml file '
                            '(default: that of --init if it has classes of its own, else camvid, '
                            'or cityscapes with --cityscapes)')
    group.add_argument('--rate', dest='rate_hz', type=float, metavar='HZ',
                       help='images a second of --camvid or --data, in order (default: by their '
                            'times, or a guess by their names, which is told)')
    group.add_argument('--hide-labels', action='store_true',
                       help='never read their labels and take the drives as recordings, to '
                            'measure what labels are worth')


def _add_unlabelled(group: argparse._ArgumentGroup) -> None:
    group.add_argument('--recording', dest='recordings', nargs='+', type=pathlib.Path,
                       default=[], metavar='PATH',
                       help='recordings (rosbag2 folder, .mcap, .db3, ROS 1 .bag), folders of '
                            'images, or video files')
    group.add_argument('--topic', metavar='NAME',
                       help='image topic of the recordings (default: the only one)')
    group.add_argument('--recording-rate', dest='recording_rate_hz', type=float, metavar='HZ',
                       default=DataOptions.recording_rate_hz,
                       help='images per second of folders of images (default: %(default)s)')
    group.add_argument('--frames-per-recording', type=int, metavar='N',
                       default=DataOptions.frames_per_recording,
                       help='choose so many frames of a longer recording, in runs spread over '
                            'it; 0 = all (default: %(default)s)')


def _add_street(group: argparse._ArgumentGroup) -> None:
    group.add_argument('--street-clips', type=int, metavar='N',
                       help='clips, each of another street; 0 = none (default: 40 beside '
                            'labelled CamVid, else none; if the label set has its classes)')
    group.add_argument('--street-frames', type=int, default=DataOptions.street_frames,
                       metavar='N', help='frames of each of them, at 15 Hz (default: %(default)s)')
    group.add_argument('--street-share', type=float, default=DataOptions.street_share,
                       metavar='SHARE', help='its share in the batches, 0..1 '
                                             '(default: %(default)s)')
