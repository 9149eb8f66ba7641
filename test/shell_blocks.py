# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The shell blocks of the documents, and whether the commands in them can be."""

import argparse
import dataclasses
import pathlib
import re
import shlex
import textwrap
from typing import NoReturn, Sequence

import yaml

from lvs_ros.errors import ConfigurationError
from lvs_ros.launching import PARAMETERS
from lvs_ros.options import OPTIONS
from lvs_ros.tools.cli import make_parser

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
PAGES = [REPOSITORY / 'README.md', REPOSITORY / 'CONTRIBUTING.md',
         *sorted(REPOSITORY.glob('docs/*.md')), *sorted(REPOSITORY.glob('config/**/*.md'))]
MEASURED = ('results.md', 'performance.md')
"""Pages whose blocks are measurements of minutes to hours: each counts as marked."""

_FENCE = re.compile(r'^( *)```(sh|bash|console)$\n(.*?)^ *```$', re.MULTILINE | re.DOTALL)
_MARK = re.compile(r'<!-- (not run|run with): (.+) -->')
_OPERATORS = set(';&|()')
_KEYWORDS = {'until', 'while', 'if', 'then', 'do', '!', 'sudo'}


@dataclasses.dataclass(frozen=True)
class Block:
    """One block of a page.

    :param place: page and line, for messages
    :param text: as a reader would copy it
    :param reason: why it is not run; empty = it is
    :param more: of each subcommand of lvs, the words that are added when it is run here
    """

    place: str
    text: str
    reason: str
    more: dict[str, list[str]]


def blocks_of(page: pathlib.Path) -> list[Block]:
    """Return the shell blocks of a page, with what the comment before each says."""
    text = page.read_text(encoding='utf-8')
    blocks = []
    for found in _FENCE.finditer(text):
        before = text[:found.start()]
        mark = _MARK.fullmatch(before.rstrip('\n').rpartition('\n')[2].strip())
        kind, what = mark.groups() if mark else ('', '')
        reason = what if kind == 'not run' else 'measured' if page.name in MEASURED else ''
        more = {words[0]: words[1:] for words in map(shlex.split, what.split(';'))} \
            if kind == 'run with' else {}
        place = f'{page.name}:{before.count(chr(10)) + 1}'
        blocks.append(Block(place, textwrap.dedent(found[3]), reason, more))
    return blocks


def commands_of(text: str) -> list[list[str]]:
    """Return the words of each command of a block, without comments and shell keywords."""
    commands: list[list[str]] = []
    begun = ''    # a line within quotes
    for line in text.replace('\\\n', ' ').splitlines():
        lexer = shlex.shlex(begun + line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            line_words = list(lexer)
        except ValueError:
            begun += f'{line}\n'
            continue
        begun = ''
        commands.append([])
        for word in line_words:
            if set(word) <= _OPERATORS:
                commands.append([])
            elif commands[-1] or word not in _KEYWORDS:
                commands[-1].append(word)
    if begun:
        raise ValueError(f'a quotation has no end: {begun}')
    return [words for words in commands if words]


def fault(words: Sequence[str]) -> str:
    """Say what is wrong with a command of this project; empty where nothing is."""
    program, *rest = words
    try:
        if program == 'lvs':
            _check_lvs(rest)
        elif program == 'lvs_node':
            _check_node(rest)
        elif program == 'make':
            _check_make(rest)
        elif 'ros2' in words:
            _check_ros2(words[words.index('ros2') + 1:])
    except (ConfigurationError, ValueError) as error:
        return f'{" ".join(words)}: {error}'
    return ''


def inline_fault(code: str) -> str:
    """Say which option of a command in running text does not exist; empty where all do."""
    program, *rest = code.split()
    if program == 'make':
        return fault([program, *[word for word in rest if word.isalpha()][:1]])
    known = _option_strings(rest)
    for word in rest:
        name = word.partition('=')[0]
        if re.fullmatch(r'--[a-z-]+', name) and name not in known:
            return f'{code}: there is no option {name}'
    return ''


def _option_strings(words: Sequence[str]) -> set[str]:
    """Return the options of the commands that the words name, and of lvs itself."""
    names = [word for word in words if re.fullmatch('[a-z-]+', word) and word[0] != '-'][:2]
    parser, _ = make_parser(names)
    known = set(parser._option_string_actions)
    for name in names:
        choices = [action.choices for action in parser._actions
                   if isinstance(action, argparse._SubParsersAction)]
        if not choices or name not in choices[0]:
            break
        parser = choices[0][name]
        known |= set(parser._option_string_actions)
    return known


def _check_lvs(words: Sequence[str]) -> None:
    if words == ['--help']:
        return
    parser, words = make_parser(words)
    _, unknown = _strict(parser).parse_known_args(words)
    if unknown:
        raise ValueError(f'there is no {" ".join(unknown)}')


def _strict(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Let a parser, and those of its subcommands, raise ValueError in place of ending."""
    def fail(message: str) -> NoReturn:
        raise ValueError(message)

    parser.error = fail  # type: ignore[method-assign]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                _strict(one)
    return parser


def _check_node(words: Sequence[str]) -> None:
    if words[:1] != ['--ros-args']:
        raise ValueError(f'expected --ros-args, not {" ".join(words[:1])}')
    for flag, value in zip(words[1::2], words[2::2]):
        name, assigned, content = value.partition(':=')
        if flag not in ('-p', '-r') or not assigned:
            raise ValueError(f'expected -p NAME:=VALUE or -r FROM:=TO, not {flag} {value}')
        if flag == '-p' and name != 'use_sim_time':
            _check_parameter(name, content)


def _check_parameter(name: str, text: str) -> None:
    if name not in OPTIONS:
        raise ValueError(f'there is no parameter {name}')
    OPTIONS[name].checked(name, yaml.safe_load(text))


def _check_make(words: Sequence[str]) -> None:
    makefile = (REPOSITORY / 'Makefile').read_text(encoding='utf-8')
    for word in words:
        name, assigned, _ = word.partition('=')
        if not (f'({name})' in makefile or name == 'PYTHON' if assigned
                else re.search(rf'^{name}:', makefile, re.MULTILINE)):
            raise ValueError(f'there is no {name} in the Makefile')


def _check_ros2(words: Sequence[str]) -> None:
    if words[:2] == ['launch', 'lvs_ros']:
        text = (REPOSITORY / 'launch' / words[2]).read_text(encoding='utf-8')
        for argument in words[3:]:
            name = argument.partition(':=')[0]
            if f"'{name}'" not in text and name not in PARAMETERS:
                raise ValueError(f'{words[2]} has no argument {name}')
    elif words[:3] == ['param', 'set', '/lvs']:
        _check_parameter(*words[3:5])
        if not OPTIONS[words[3]].dynamic:
            raise ValueError(f'{words[3]} cannot be changed while the node runs')
