# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which of the tensors in a checkpoint are the network: wrappers, prefixes, averaged weights."""

import collections
import pathlib
import re
from typing import Any, Mapping, NamedTuple

import torch

from lvs_ros.errors import ModelFileError

_PLAIN = ('state_dict', 'model', 'model_state_dict', 'net', 'network', 'module')
_AVERAGED = ('state_dict_ema', 'ema_state_dict', 'model_ema', 'ema_model', 'ema', 'ema_weights',
             'model_ema_state_dict')
WRAPPERS = _PLAIN + _AVERAGED
"""Entries of a checkpoint that hold the weights."""

# Of Lightning, DistributedDataParallel, AveragedModel and the like; of torch.compile, anywhere.
_PREFIX = r'(?:(?:module|model|net|network|segmentor)\.)*'
_AVERAGED_PREFIX = (r'(?:model\.)?(?:ema|ema_model|model_ema|averaged_model|swa_model|ema_net)\.'
                    + _PREFIX)
_COMPILED = '_orig_mod.'

State = dict[str, torch.Tensor]


class Weights(NamedTuple):
    """The weights of one network.

    :param tensors: by their names without prefixes
    :param told: which they are, where the file has others too; else empty
    :param left_out: number of tensors beside the network, by the first part of their names
    """

    tensors: State
    told: str
    left_out: Mapping[str, int]


def choose_weights(content: Mapping[str, Any], path: pathlib.Path, choice: str) -> Weights:
    """Find the weights of the network.

    :param content: of the file
    :param path: of the file, for errors
    :param choice: 'ema' or 'plain', where there are both
    :raises ModelFileError: when there are none, or other things than tensors among them.
    """
    state, apart = _state(content, _PLAIN), _state(content, _AVERAGED)
    if not state and not apart:
        state = content
    plain, averaged, left_out = _split(_checked(state, path)) if state else ({}, {}, {})
    if apart and not averaged:
        inner = _split(_checked(apart, path))
        averaged = inner[1] or inner[0]
        if _swapped(content):
            plain, averaged = averaged, plain
    if not plain and not averaged:
        raise _without_weights(content, path)
    if not plain or not averaged:
        return Weights(plain or averaged, '' if plain else 'averaged ones (EMA); the file has no '
                       'others', left_out)
    if choice == 'ema':
        return Weights(averaged, 'averaged ones (EMA); --weights plain takes the others', left_out)
    return Weights(plain, 'plain ones; --weights ema takes the averaged ones', left_out)


def _state(content: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    """Return the first of these entries that holds tensors, at most two levels down."""
    for name in names:
        entry = content.get(name)
        if isinstance(entry, Mapping):
            inner = [entry, *(entry[key] for key in (*_PLAIN, 'shadow')
                              if isinstance(entry.get(key), Mapping))]
            for one in inner:
                if any(isinstance(value, torch.Tensor) for value in one.values()):
                    return one
    return {}


def _swapped(content: Mapping[str, Any]) -> bool:
    """Whether mmengine wrote the averages into ``state_dict``, and the others beside it."""
    meta = content.get('meta')
    return (isinstance(meta, Mapping) and 'mmengine_version' in meta
            and 'ema_state_dict' in content)


def _checked(state: Mapping[str, Any], path: pathlib.Path) -> State:
    tensors = {str(name).replace(_COMPILED, ''): value for name, value in state.items()}
    if not any(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise _without_weights(state, path)
    others = sorted(name for name, value in tensors.items()
                    if not isinstance(value, torch.Tensor))
    if others:
        raise ModelFileError(f'{path}: {some(others)} no tensors; expected nothing else in a '
                             'state dictionary')
    return tensors


def _without_weights(content: Mapping[str, Any], path: pathlib.Path) -> ModelFileError:
    found = ', '.join(sorted(map(str, content))[:5]) or 'nothing'
    return ModelFileError(f'{path}: holds no weights, but {found}; expected tensors, or one of '
                          f'{", ".join(_PLAIN[:3])} with tensors in it')


def _split(tensors: State) -> tuple[State, State, dict[str, int]]:
    """Take networks apart by their prefixes.

    What is beside them and no convolution (weights of a loss, metrics, counters) is left out.

    :return: plain weights, averaged weights, and the number of tensors that were left out
    """
    # mmcv's hook keeps a copy of each weight as a buffer, of which the dots are underscores
    flat = {'ema_' + name.replace('.', '_') for name in tensors}
    tensors = {name: value for name, value in tensors.items() if name not in flat}
    averaged = _under(tensors, _AVERAGED_PREFIX)
    rest = {name: value for name, value in tensors.items() if name not in averaged}
    plain = _under(rest, _PREFIX)
    beside = {name: value for name, value in rest.items() if name not in plain}
    if not averaged and len(plain) == len(rest):
        return _stripped(plain), {}, {}
    kept: State = {}
    if any(value.dim() == 4 for value in beside.values()):    # a part of the network after all
        kept, beside = beside, {}
    return ({**_stripped(plain), **kept}, _stripped(averaged),
            dict(collections.Counter(name.partition('.')[0] for name in beside)))


def _under(tensors: State, pattern: str) -> State:
    """Return the tensors under the prefix of this pattern that has most of them."""
    prefixes = collections.Counter(
        match[0] for name in tensors if (match := re.match(pattern, name)))
    if not prefixes:
        return {}
    prefix = prefixes.most_common(1)[0][0]
    return {name: value for name, value in tensors.items() if name.startswith(prefix)}


def _stripped(tensors: State) -> State:
    """Remove the prefix that all have in common, as far as it is one of wrappers."""
    common = min((match[0] for name in tensors if (match := re.match(
        f'{_AVERAGED_PREFIX}|{_PREFIX}', name))), key=len, default='')
    return {name.removeprefix(common): value for name, value in tensors.items()}


def some(names: list[str]) -> str:
    """Return the first five of a list in words, and how many more there are."""
    more = f' and {len(names) - 5} more' if len(names) > 5 else ''
    return ', '.join(names[:5]) + more
