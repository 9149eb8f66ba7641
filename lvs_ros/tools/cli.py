# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The command ``lvs``: one subcommand a tool."""

import argparse
import importlib
import sys
from typing import Optional, Sequence

from lvs_ros import __version__
from lvs_ros.options import GONE
from lvs_ros.program_settings import prepare_process
from lvs_ros.tools.ending import ended, interrupted_at_once
from lvs_ros.tools.numbers import check_magnitudes

COMMANDS = {
    'demo': 'watch the node segment a synthetic street for 20 seconds',
    'play': 'publish a recording over ROS 2 at its own timing',
    'replay': 'run every frame of a recording through the pipeline and write the results',
    'record-images': 'turn a folder of images into a recording',
    'evaluate': 'measure a model on labelled frames',
    'benchmark': 'measure how long everything takes on this computer',
    'soak': 'run the node for thousands of frames and watch its memory',
    'train': 'train a model',
    'labels': 'check labelled images and their label set before a training',
    'import-checkpoint': 'turn weights of mmsegmentation, semseg, torchvision or timm into a '
                         'model',
    'street': 'publish the synthetic street as a camera, or write labelled drives of it',
    'node': 'run the segmentation node',
    'health': 'ask a running node for its condition; exit code 1 where it is not well',
}
"""Name of each subcommand (its module is the same with underscores) and its one-line help."""


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run ``lvs``; return the exit code (2 for anything the user can mend)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    chosen = next((word for word in words if not word.startswith('-')), None)
    name = f'lvs {chosen}' if chosen in COMMANDS else 'lvs'
    return ended(lambda: _run(words, chosen), name)


def _run(words: Sequence[str], chosen: Optional[str]) -> int:
    prepare_process()
    parser = argparse.ArgumentParser(
        prog='lvs', description='Low-latency video semantic segmentation for ROS 2.')
    parser.add_argument('--version', action='version', version=f'lvs_ros {__version__}')
    subparsers = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    for name, text in COMMANDS.items():
        subparser = subparsers.add_parser(
            name, help=text, description=text[0].upper() + text[1:] + '.')
        if name == chosen:
            # only the tool that runs is imported: 'lvs --help' needs neither torch nor ROS
            with interrupted_at_once():
                tool = importlib.import_module('lvs_ros.tools.' + name.replace('-', '_'))
            tool.add_arguments(subparser)
            if hasattr(tool, 'with_files'):
                words = tool.with_files(words, subparser)
            subparser.set_defaults(run=tool.run)
    args, unknown = parser.parse_known_args(words)
    _refuse(unknown, parser)
    check_magnitudes(args)
    return int(args.run(args))


def _refuse(words: Sequence[str], parser: argparse.ArgumentParser) -> None:
    """End with what to do about words that are no arguments, if there are some."""
    for word in words:
        name = word.partition('=')[0].removeprefix('--').removeprefix('no-').replace('-', '_')
        if word.startswith('--') and name in GONE:
            parser.error(f'{word} is gone: {GONE[name]}')
    if words:
        parser.error(f'unrecognized arguments: {" ".join(words)}')


if __name__ == '__main__':
    sys.exit(main())
