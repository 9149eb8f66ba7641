# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The options of ``lvs train`` that say what to train on."""

import argparse
import dataclasses
import pathlib
from typing import Any

from lvs_ros.labels import load_label_set
from lvs_ros.tools.recording_options import add_recording, add_recording_details
from lvs_ros.training.data_options import DataOptions
from lvs_ros.training.held_out import CHOICES, GAP_S


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them, in groups of their own."""
    _add_labelled(parser.add_argument_group(
        'labelled data', 'What the network stage needs; mixed with the synthetic street.'))
    _add_unlabelled(parser.add_argument_group(
        'drives without labels', 'Enough for the other two stages: the full network given by '
        '--init labels the frames once, and its masks are the labels.'))
    _add_street(parser.add_argument_group('synthetic street', 'Labelled clips in real time.'))
    _add_held_out(parser.add_argument_group(
        'held-out data', 'Measured on while the training goes on, and never trained on: the best '
        'model by it comes out. Without, the last model does. The measures: network, '
        'small, small_half: mIoU of frames computed in full; propagation: mIoU of frames '
        'whose features come from an earlier frame (of made-up motion where frames stand alone); '
        'recurrent: mIoU of the newest of three frames; deviation: mean error of the predicted '
        'deviation (less is better). Where the full network made the labels, it is the agreement '
        'with it. Without flip averaging.'))
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
    group.add_argument('--hide-labels', action=argparse.BooleanOptionalAction, default=False,
                       help='never read their labels and take the drives as recordings, to '
                            'measure what labels are worth')


def _add_held_out(group: argparse._ArgumentGroup) -> None:
    group.add_argument('--val', type=pathlib.Path, metavar='PATH',
                       help='other data of the same classes: a folder of images/ and labels/, a '
                            'list, the root of Cityscapes (its val split); with drives without '
                            'labels footage, too')
    group.add_argument('--val-share', type=float, metavar='SHARE',
                       help='hold out this share of the labelled frames, with all others of the '
                            'same drive or time, such as 0.2; never at random')
    group.add_argument('--val-by', choices=CHOICES,
                       help='how that share is chosen. drives: whole drives, the last ones that '
                            'come nearest to it. time: the last part of each drive; the '
                            f'{GAP_S:g} s before it are not trained on, either (default: drives '
                            'if there are several, else time)')


def _add_unlabelled(group: argparse._ArgumentGroup) -> None:
    add_recording(group, '--recording', dest='recordings', nargs='+', default=[])
    add_recording_details(group)
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
