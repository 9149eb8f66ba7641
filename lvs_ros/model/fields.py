# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Fields of a dataclass that know their type and range.

A file may hold anything under the name of a field. What is of another type would be an error far
from its cause, and what is out of range may ask for more memory than there is.
"""

import dataclasses
import reprlib
from typing import Any, Callable, Iterable

from lvs_ros.errors import ConfigurationError

_KIND = 'kind'


@dataclasses.dataclass(frozen=True)
class _Kind:
    """What a field may hold.

    :param expected: in words
    :param accepts: tells whether a value may be taken
    :param convert: what is made of it
    """

    expected: str
    accepts: Callable[[Any], bool]
    convert: Callable[[Any], Any] = lambda value: value


def read_fields(instance: Any, owner: str) -> dict[str, Any]:
    """Return the values of all fields, as their types have them.

    :param instance: of a dataclass, each of whose fields is one of those below
    :param owner: what the fields belong to, for the error
    :raises ConfigurationError: naming field, value and what was expected
    """
    values = {}
    for field in dataclasses.fields(instance):
        value, kind = getattr(instance, field.name), field.metadata[_KIND]
        if not kind.accepts(value):
            raise ConfigurationError(f'{owner} {field.name} is {reprlib.repr(value)}: expected '
                                     f'{kind.expected}')
        values[field.name] = kind.convert(value)
    return values


def whole(least: int, most: int, *, odd: bool = False, **options: Any) -> Any:
    """Return a field for a whole number.

    :param odd: only odd ones
    :param options: those of :func:`dataclasses.field`
    """
    return _field(_Kind(f'{"an odd" if odd else "a whole"} number from {least} to {most}',
                        lambda value: type(value) is int and least <= value <= most
                        and (value % 2 == 1 or not odd)), **options)


def numbers(count: int, least: float, most: float, **options: Any) -> Any:
    """Return a field for a tuple of so many numbers, which become floats."""
    return _field(_Kind(f'{count} numbers from {least:g} to {most:g}',
                        lambda value: isinstance(value, (list, tuple)) and len(value) == count
                        and all(type(one) in (int, float) and least <= one <= most
                                for one in value),
                        lambda value: tuple(map(float, value))), **options)


def size(least: int, most: int, **options: Any) -> Any:
    """Return a field for the (width, height) of an image, which may be unknown: None."""
    return _field(_Kind(f'null or two whole numbers of pixels from {least} to {most}',
                        lambda value: value is None or isinstance(value, (list, tuple))
                        and len(value) == 2
                        and all(type(one) is int and least <= one <= most for one in value),
                        lambda value: None if value is None else tuple(value)), **options)


def one_of(choices: Iterable[str], **options: Any) -> Any:
    """Return a field for one of several words."""
    known = tuple(choices)
    return _field(_Kind('one of ' + ', '.join(known),
                        lambda value: isinstance(value, str) and value in known), **options)


def text(longest: int, **options: Any) -> Any:
    """Return a field for a line of text that is not empty."""
    return _field(_Kind(f'a text of 1 to {longest} printable characters',
                        lambda value: isinstance(value, str) and 1 <= len(value) <= longest
                        and value.isprintable()), **options)


def flag(**options: Any) -> Any:
    """Return a field for true or false."""
    return _field(_Kind('true or false', lambda value: type(value) is bool), **options)


def instance_of(kind: type, expected: str, **options: Any) -> Any:
    """Return a field for an instance of a class, or None.

    :param expected: in words
    """
    return _field(_Kind(expected, lambda value: value is None or isinstance(value, kind)),
                  **options)


def _field(kind: _Kind, **options: Any) -> Any:
    return dataclasses.field(metadata={_KIND: kind}, **options)
