# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The command ``lvs``: one subcommand a tool."""

import argparse
import importlib
import shutil
import sys
import textwrap
from typing import Optional, Sequence

from lvs_ros import __version__
from lvs_ros.options import GONE
from lvs_ros.program_settings import prepare_process
from lvs_ros.tools.ending import ended, interrupted_at_once
from lvs_ros.tools.numbers import check_magnitudes

GROUPS = {
    'Try it': {
        'demo': 'watch the node label a synthetic street for 20 seconds',
        'street': 'publish the synthetic street as a camera, or write labelled drives of it',
    },
    'Run it': {
        'node': 'run the segmentation node',
        'watch': 'see running nodes in the browser and set their threshold there',
        'health': 'ask a running node for its condition; exit code 1 where it is not well',
    },
    'Replay and measure': {
        'play': 'publish a recording over ROS 2 at its own timing',
        'replay': 'run every frame of a recording through the pipeline and write the results',
        'record-images': 'turn a folder of images into a recording',
        'evaluate': 'measure a model on labelled frames, or on a recording',
        'benchmark': 'measure how long everything takes on this computer',
        'soak': 'run the node for thousands of frames and watch its memory',
    },
    'Train': {
        'labels': 'check labelled images and their label set before a training',
        'train': 'train a model on your own data',
    },
    'Bring a network': {
        'import-checkpoint': 'turn weights of mmsegmentation, semseg, torchvision or timm into a '
                             'model',
    },
}
"""What one may want to do, and the subcommands for it, with their one-line help. The module of a
subcommand has its name, with underscores.
"""
_WIDTH = 80    # columns of the help, at most
COMMANDS = {name: text for group in GROUPS.values() for name, text in group.items()}


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run ``lvs``; return the exit code (2 for anything the user can mend)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    chosen = _chosen(words)
    return ended(lambda: _run(words), f'lvs {chosen}' if chosen in COMMANDS else 'lvs')


def make_parser(words: Sequence[str]) -> tuple[argparse.ArgumentParser, Sequence[str]]:
    """Return the parser of ``lvs``, and the words with those that come from files.

    :param words: only the tool that they name is imported: ``lvs --help`` needs neither torch nor
        ROS
    """
    chosen = _chosen(words)
    parser = argparse.ArgumentParser(
        prog='lvs', usage='lvs [-h] [--version] COMMAND ...',
        description='Low-latency video semantic segmentation for ROS 2.',
        epilog=_commands_text(), formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--version', action='version', version=f'lvs_ros {__version__}')
    subparsers = parser.add_subparsers(prog='lvs', dest='command', metavar='COMMAND',
                                       required=True, help=argparse.SUPPRESS)
    for name, text in COMMANDS.items():
        subparser = subparsers.add_parser(name, description=text[0].upper() + text[1:] + '.')
        if name == chosen:
            with interrupted_at_once():
                tool = importlib.import_module('lvs_ros.tools.' + name.replace('-', '_'))
            tool.add_arguments(subparser)
            if hasattr(tool, 'with_files'):
                words = tool.with_files(words, subparser)
            subparser.set_defaults(run=tool.run)
    return parser, words


def _run(words: Sequence[str]) -> int:
    prepare_process()
    parser, words = make_parser(words)
    args, unknown = parser.parse_known_args(words)
    _refuse(unknown, parser)
    check_magnitudes(args)
    return int(args.run(args))


def _commands_text() -> str:
    """Return the list of commands, by what one wants to do, as wide as the terminal."""
    width = min(shutil.get_terminal_size().columns, _WIDTH)
    column = max(map(len, COMMANDS)) + 4
    lines = []
    for group, commands in GROUPS.items():
        lines.append(f'\n{group}:')
        lines += [textwrap.fill(text, width, initial_indent=f'  {name}'.ljust(column),
                                subsequent_indent=' ' * column) for name, text in commands.items()]
    return '\n'.join([*lines, '', 'lvs COMMAND --help lists the options of a command.']).lstrip()


def _chosen(words: Sequence[str]) -> Optional[str]:
    return next((word for word in words if not word.startswith('-')), None)


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
