# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Reading the checkpoint of another project: tensors, and what it says about them."""

import dataclasses
import json
import pathlib
import re
from typing import Any, Mapping

import safetensors
import torch

from lvs_ros.errors import ModelFileError
from lvs_ros.model.checkpoint import FORMAT

_WRAPPERS = ('state_dict', 'model', 'model_state_dict')
_PREFIXES = ('module.', '_orig_mod.')    # DistributedDataParallel and torch.compile

_BESIDE_THE_WEIGHTS = (
    'argparse.Namespace', 'builtins.getattr', 'mmengine.logging.history_buffer.HistoryBuffer',
    'numpy.core.multiarray._reconstruct', 'numpy.core.multiarray.scalar',
    'numpy._core.multiarray._reconstruct', 'numpy._core.multiarray.scalar', 'numpy.dtype',
    'numpy.ndarray')
"""What training scripts keep beside the weights: options, and mmengine's curves of the losses.

mmengine's curves refer to their own methods, hence the ``getattr``. None of it is needed, so
none of it is made: an :class:`_Ignored` takes the place of each.
"""


@dataclasses.dataclass(frozen=True)
class ForeignFile:
    """What was read.

    :param path: the file
    :param tensors: weights by their foreign names, without the prefixes of wrappers
    :param meta: the entry ``meta`` of mmsegmentation's files, else empty
    :param card: the ``config.json`` beside the file that timm's models come with, else empty
    """

    path: pathlib.Path
    tensors: Mapping[str, torch.Tensor]
    meta: Mapping[str, Any]
    card: Mapping[str, Any]


class _Ignored:
    """Stands for an object that is not wanted: takes anything, does nothing, holds nothing."""

    def __init__(self, *arguments: object, **options: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def read_foreign_file(path: pathlib.Path) -> ForeignFile:
    """Read a checkpoint on the CPU.

    :param path: ``.safetensors``, or what ``torch.save`` wrote
    :raises ModelFileError: when the file is missing, cut short, holds more than data, or holds
        no weights.
    """
    if not path.is_file():
        raise ModelFileError(f'{path}: there is no such file; expected a checkpoint '
                             '(.pth, .pt or .safetensors)')
    content = _read_safetensors(path) if path.suffix == '.safetensors' else _read_pickle(path)
    if not isinstance(content, Mapping):
        raise ModelFileError(f'{path}: holds a {type(content).__name__}; expected a state '
                             'dictionary, as torch.save(model.state_dict(), …) writes')
    return ForeignFile(path, _tensors(path, content), _mapping(content.get('meta')),
                       _read_card(path))


def _read_safetensors(path: pathlib.Path) -> dict[str, torch.Tensor]:
    try:
        with safetensors.safe_open(path, framework='pt') as file:
            if (file.metadata() or {}).get('format') == FORMAT:
                raise ModelFileError(f'{path}: is a model of lvs_ros already; use it as it is, '
                                     f'for example with "lvs train --init {path}"')
            return {name: file.get_tensor(name) for name in file.keys()}
    except (safetensors.SafetensorError, OSError) as error:
        raise ModelFileError(f'{path}: not a readable safetensors file, or cut short ({error}); '
                             'copy it again') from error


def _read_pickle(path: pathlib.Path) -> object:
    ignored: list[Any] = [_ignored_as(name) for name in _BESIDE_THE_WEIGHTS]
    try:
        with torch.serialization.safe_globals(ignored):
            return torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:   # a damaged pickle can raise nearly anything
        foreign = re.search(r'Unsupported global: GLOBAL (\S+)', str(error))
        if foreign is None:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelFileError(f'{path}: not a checkpoint that torch can read, or cut short '
                                 f'({reason}); copy it again') from error
        raise ModelFileError(
            f'{path}: holds more than weights ({foreign[1]}), and to read that would execute '
            'code from the file. If you trust its source, keep only the weights, where that '
            'class is installed: python -c "import torch; c = torch.load('
            f"'{path.name}', map_location='cpu', weights_only=False); torch.save("
            "{'state_dict': c['state_dict']}, 'weights.pth')\", and import weights.pth"
        ) from error


def _ignored_as(name: str) -> type:
    # torch compares the name that the file gives with that of the class
    module, _, qualified = name.rpartition('.')
    return type(qualified, (_Ignored,), {'__module__': module})


def _tensors(path: pathlib.Path, content: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    state = next((content[name] for name in _WRAPPERS if isinstance(content.get(name), Mapping)),
                 content)
    tensors = {str(name): value for name, value in state.items()}
    for prefix in _PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name[len(prefix):]: value for name, value in tensors.items()}
    if not any(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise ModelFileError(
            f'{path}: holds no weights, but {", ".join(sorted(tensors)[:5]) or "nothing"}; '
            f'expected tensors, or one of {", ".join(_WRAPPERS)} with tensors in it')
    others = sorted(name for name, value in tensors.items()
                    if not isinstance(value, torch.Tensor))
    if others:
        raise ModelFileError(f'{path}: {some(others)} no tensors; expected nothing else in a '
                             'state dictionary')
    return tensors


def _read_card(path: pathlib.Path) -> Mapping[str, Any]:
    try:
        card = json.loads(path.with_name('config.json').read_text(encoding='utf-8'))
    except (OSError, ValueError):    # of something else, or not there
        return {}
    return card if 'architecture' in _mapping(card) and 'pretrained_cfg' in card else {}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def some(names: list[str]) -> str:
    """Return the first five of a list in words, and how many more there are."""
    more = f' and {len(names) - 5} more' if len(names) > 5 else ''
    return ', '.join(names[:5]) + more
