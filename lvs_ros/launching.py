# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How the launch files use their arguments; without imports of ROS."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from lvs_ros.errors import ConfigurationError
from lvs_ros.options import OPTIONS

COMPRESSED = '/compressed'


def number(text: str) -> float:
    """Return the number that a text tells."""
    try:
        value = float(text)
    except ValueError:
        raise ConfigurationError(f'expected a number, not {text!r}') from None
    if not math.isfinite(value):
        raise ConfigurationError(f'expected a finite number, not {text!r}')
    return value


def boolean(text: str) -> bool:
    """Return what ``true`` and ``false`` say."""
    if text.lower() not in ('true', 'false'):
        raise ConfigurationError(f'expected true or false, not {text!r}')
    return text.lower() == 'true'


def size(text: str) -> list[int]:
    """Return width and height of ``640x480``."""
    if re.fullmatch(r'[0-9]{1,5}x[0-9]{1,5}', text) is None:
        raise ConfigurationError(f'expected WIDTHxHEIGHT in pixels, as 640x480, not {text!r}')
    return [int(part) for part in text.split('x')]


PARAMETERS = ('model', 'labels', 'device', 'input_transport', 'threshold', 'inference_size',
              'output_size', 'warm_up_size', 'autostart', 'use_sim_time')
"""Arguments that set the parameter of the same name; an empty one leaves it as it is."""

_MEANINGS: Mapping[type, Callable[[str], Any]] = {
    str: str, float: number, bool: boolean, tuple: size}


def parameter_values(arguments: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters that the arguments set.

    :param arguments: texts by name.
    :raises ConfigurationError: one means nothing; the message names it.
    """
    values = {}
    for name in PARAMETERS:
        kind = type(OPTIONS[name].default) if name in OPTIONS else bool    # use_sim_time: rclpy's
        if text := arguments.get(name, ''):
            try:
                values[name] = _MEANINGS[kind](text)
            except ConfigurationError as error:
                raise ConfigurationError(f'argument {name}: {error}') from None
    return values


def transport_of(transport: str, *topics: str) -> str:
    """Return the transport: the one that is named, else what the names of topics say.

    image_transport's names of compressed images end in ``/compressed``.

    :param transport: ``raw``, ``compressed`` or empty.
    :return: empty where nothing tells it.
    """
    if not transport and any(topic.endswith(COMPRESSED) for topic in topics):
        return 'compressed'
    return transport


def topic_names(image_topic: str, transport: str) -> tuple[str, str]:
    """Return the names of the raw topic and of the compressed one.

    :param image_topic: with or without ``/compressed`` where that is what is sent on it.
    """
    base = image_topic if transport == 'raw' else image_topic.removesuffix(COMPRESSED)
    return base, base + COMPRESSED


def node_name(outer_namespace: str, namespace: str, name: str) -> str:
    """Return the full name of a node.

    :param outer_namespace: of the enclosing launch file; an absolute namespace leaves it.
    """
    outer = '' if namespace.startswith('/') else outer_namespace
    return '/'.join(['', *filter(None, [*outer.split('/'), *namespace.split('/')]), name])


def check_params_file(path: str, node_name: str) -> str | None:
    """See whether a file has parameters for a node.

    :param path: of the file.
    :param node_name: full name of the node.
    :return: a warning if all of them are for other nodes.
    :raises ConfigurationError: it cannot be read, or has no parameters.
    """
    try:
        with open(path, encoding='utf-8') as file:
            content = yaml.safe_load(file)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else 'it is no YAML'
        raise ConfigurationError(f'argument params_file: cannot read {path}: {reason}') from None
    names = list(_sections(content, ''))
    if not names:
        raise ConfigurationError(f'argument params_file: {path} has no parameters; expected what '
                                 "config/lvs.yaml has: '/**:', below it 'ros__parameters:'")
    if any(_matches(name, node_name) for name in names):
        return None
    return (f'params_file: {path} has parameters for {", ".join(names)}, and none for '
            f'{node_name}: all are as by default (/** is for every node)')


def _sections(content: Any, name: str) -> Iterator[str]:
    """Yield the names of the nodes that a file has parameters for."""
    if not isinstance(content, dict):
        return
    for key, value in content.items():
        if key == 'ros__parameters':
            yield name or '/'
        else:
            yield from _sections(value, f'{name}/{str(key).strip("/")}')


def _matches(pattern: str, node_name: str) -> bool:
    """Compare as rcl does: * stands for one part of a name, ** for any number of them."""
    parts = [('(/[^/]+)*' if part == '**' else '/[^/]+' if part == '*' else '/' + re.escape(part))
             for part in pattern.split('/')[1:]]
    return re.fullmatch(''.join(parts), node_name) is not None
