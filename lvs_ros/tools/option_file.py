# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Options of a command in a YAML file, under their names on the command line."""

import argparse
import pathlib
import shlex
from typing import Any, Iterator, Mapping, NoReturn, Sequence

import yaml

from lvs_ros.errors import ConfigurationError, OutputError
from lvs_ros.staging import write_whole

OPTION = '--config'
_MOST_BYTES = 100_000


def with_option_file(words: Sequence[str], parser: argparse.ArgumentParser, *,
                     displaces: Sequence[Sequence[str]] = ()) -> list[str]:
    """Put the options of the file that ``--config`` names in front of those of the command line.

    :param words: of the command line: the command, and its options
    :param displaces: groups of options of which one alone can be given: one on the command line
        goes before all of its group in the file
    :raises ConfigurationError: naming the file, and the option that is unknown or wrong.
    """
    path = _named_file(words)
    if path is None:
        return list(words)
    content = _read(path)
    given = {word.partition('=')[0].removeprefix('--') for word in words}
    displaced = {name for group in displaces if given & set(group) for name in group}
    actions = dict(_options(parser))
    found: list[str] = []
    for key, value in content.items():
        name = str(key).removeprefix('--').replace('_', '-')
        if name not in actions:
            raise ConfigurationError(f'{path}: {key!s:.100} is no option of {parser.prog}; '
                                     f'expected some of {", ".join(actions)}')
        if value is None or name in displaced:
            continue
        own = _as_words(path, name, actions[name], value)
        _check(path, name, parser, own)
        found += own
    return [*words[:1], *found, *words[1:]]


def option_values(args: argparse.Namespace, parser: argparse.ArgumentParser) -> dict[str, Any]:
    """Return the value of every option under its name; paths are absolute."""
    return {name: _plain(getattr(args, action.dest)) for name, action in _options(parser)}


def write_option_file(path: pathlib.Path, args: argparse.Namespace,
                      parser: argparse.ArgumentParser) -> None:
    """Write every option as it is.

    :raises OutputError: when it cannot be written.
    """
    text = yaml.safe_dump(option_values(args, parser), sort_keys=False, allow_unicode=True)
    try:
        write_whole(path, f'# {parser.prog} {OPTION} {path.name}\n{text}'.encode())
    except OSError as error:
        raise OutputError(f'{path}: cannot be written ({error.strerror}); choose another folder') \
            from error


def as_command(args: argparse.Namespace, parser: argparse.ArgumentParser) -> str:
    """Return a command line that does the same: what differs from the defaults."""
    words = parser.prog.split()
    for name, action in _options(parser):
        value = getattr(args, action.dest)
        if value is not None and value != action.default:
            words += _as_words(pathlib.Path(), name, action, _plain(value))
    return shlex.join(words)


def _options(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    for action in parser._actions:    # argparse has no public list of them
        name = next((one[2:] for one in action.option_strings if one.startswith('--')), '')
        if name not in ('', 'help', OPTION[2:]):
            yield name, action


def _named_file(words: Sequence[str]) -> pathlib.Path | None:
    path = None
    for index, word in enumerate(words):
        if word == OPTION and index + 1 < len(words):
            path = pathlib.Path(words[index + 1])
        elif word.startswith(f'{OPTION}='):
            path = pathlib.Path(word.partition('=')[2])
    return path


def _read(path: pathlib.Path) -> Mapping[Any, Any]:
    try:
        with open(path, 'rb') as file:
            text = file.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise ValueError(f'more than {_MOST_BYTES} bytes')
        content = yaml.safe_load(text)
        if not isinstance(content, dict):
            raise ValueError('no options')
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = ' '.join(str(error).split())[:300]
        raise ConfigurationError(f'{OPTION} {path}: cannot be read ({reason}); expected a YAML '
                                 'file of options, such as "batch-size: 8"') from error
    return content


def _as_words(path: pathlib.Path, name: str, action: argparse.Action, value: Any) -> list[str]:
    """Return an option as it is given on the command line."""
    if isinstance(value, bool):
        if action.nargs != 0:
            raise ConfigurationError(f'{path}: {name} is {value}: expected what --{name} takes')
        return [f'--{name}' if value else f'--no-{name}']
    if isinstance(value, dict):    # name: weight
        value = [f'{key}={one}' for key, one in value.items()]
    values = [str(one) for one in value] if isinstance(value, (list, tuple)) else [str(value)]
    if action.nargs is None:
        if len(values) != 1:
            raise ConfigurationError(f'{path}: {name} has {len(values)} values; expected one')
        return [f'--{name}={values[0]}']
    return [f'--{name}', *values] if values else []


def _check(path: pathlib.Path, name: str, parser: argparse.ArgumentParser, words: Sequence[str]
           ) -> None:
    def fail(message: str) -> NoReturn:
        raise ConfigurationError(f'{path}: {name}: {message}')

    usual = parser.error
    parser.error = fail  # type: ignore[method-assign]
    try:
        parser.parse_args(words)
    finally:
        parser.error = usual  # type: ignore[method-assign]


def _plain(value: Any) -> Any:
    if isinstance(value, pathlib.Path):
        return str(value.absolute())
    if isinstance(value, str) and pathlib.Path(value).suffix and pathlib.Path(value).is_file():
        return str(pathlib.Path(value).absolute())
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value
