# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How a recording is named on the command line: the same words in every tool."""

import argparse
import pathlib
import sys
import textwrap
from typing import Any

from lvs_ros.datasets.footage import KINDS, Footage, open_footage
from lvs_ros.tables import WIDTH
from lvs_ros.tools.numbers import check_positive


def add_recording(parser: argparse._ActionsContainer, name: str = 'recording', **settings: Any
                  ) -> None:
    """Declare the recording.

    :param name: 'recording', or the option '--recording'
    :param settings: of the argument, such as nargs
    """
    parser.add_argument(name, metavar='RECORDING', type=pathlib.Path,
                        help=settings.pop('help', '') + KINDS, **settings)


def add_recording_details(parser: argparse._ActionsContainer) -> None:
    """Declare what some kinds of recordings need besides."""
    parser.add_argument('--topic', metavar='TOPIC',
                        help='image topic of a rosbag; needed where it has several')
    parser.add_argument('--recording-rate', dest='recording_rate_hz', metavar='HZ', type=float,
                        help='images a second of a folder of images (default: by its times.csv, '
                             'or names that are times, else 15)')


def recording_of(args: argparse.Namespace) -> Footage:
    """Open the recording that was named, and tell how its times were found.

    :raises LvsError: when there is none, or it cannot be read
    """
    check_positive(args, 'recording_rate_hz')
    footage = open_footage(args.recording, topic=args.topic, rate_hz=args.recording_rate_hz)
    if footage.told:
        print(textwrap.fill(f'{footage.name}: {footage.told}', WIDTH), file=sys.stderr)
    return footage
