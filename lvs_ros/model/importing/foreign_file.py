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
from lvs_ros.model.importing.state_dictionaries import WRAPPERS, choose_weights

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
    :param weights: which weights of the file these are, in words; empty: it has no others
    :param left_out: number of tensors by prefix that stand beside the network
    :param meta: the entry ``meta`` of mmsegmentation's files, else empty
    :param card: the ``config.json`` beside the file that timm's models come with, else empty
    """

    path: pathlib.Path
    tensors: Mapping[str, torch.Tensor]
    weights: str
    left_out: Mapping[str, int]
    meta: Mapping[str, Any]
    card: Mapping[str, Any]


class _Ignored:
    """Stands for an object that is not wanted: takes anything, does nothing, holds nothing."""

    def __init__(self, *arguments: object, **options: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def read_foreign_file(path: pathlib.Path, weights: str = 'ema') -> ForeignFile:
    """Read a checkpoint on the CPU.

    :param path: ``.safetensors``, or what ``torch.save`` wrote
    :param weights: which to take where there are both, 'ema' (averaged) or 'plain'
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
    chosen = choose_weights(content, path, weights)
    return ForeignFile(path, chosen.tensors, chosen.told, chosen.left_out,
                       _mapping(content.get('meta')), _read_card(path))


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
        raise _unreadable(path, error) from error


def _unreadable(path: pathlib.Path, error: Exception) -> ModelFileError:
    if 'TorchScript' in str(error):
        return ModelFileError(
            f'{path}: is a TorchScript program; expected weights. Take them out of it: '
            + _command(f'torch.save(torch.jit.load({str(path)!r}, map_location="cpu").state_dict()'
                       ', "weights.pth")') + ', and import weights.pth')
    foreign = re.search(r'Unsupported global: GLOBAL (\S+)', str(error))
    if foreign is None:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return ModelFileError(f'{path}: not a checkpoint that torch can read, or cut short '
                              f'({reason}); copy it again')
    module, _, name = foreign[1].rpartition('.')
    where = (f'in the folder of the program that defines {name}, after "from PROGRAM import '
             f'{name}"' if module == '__main__' else f'where {module.partition(".")[0]} is '
             'installed, or in the folder that holds it')
    return ModelFileError(
        f'{path}: holds more than weights ({foreign[1]}), a whole pickled model perhaps, and to '
        'read that would execute code from the file. If you trust its source, keep only the '
        f'weights, {where}: ' + _command(
            f'c = torch.load({str(path)!r}, map_location="cpu", weights_only=False); '
            'c = c if isinstance(c, dict) else {"state_dict": c}; '
            'torch.save({k: v.state_dict() if hasattr(v, "state_dict") else v '
            'for k, v in c.items() if hasattr(v, "state_dict") or isinstance(v, torch.Tensor) '
            f'or k in {WRAPPERS}}}, "weights.pth")') + ', and import weights.pth')


def _command(program: str) -> str:
    # in double quotes for the shell, so that none may be within
    return 'python -c "import torch; ' + program.replace('"', "'") + '"'


def _ignored_as(name: str) -> type:
    # torch compares the name that the file gives with that of the class
    module, _, qualified = name.rpartition('.')
    return type(qualified, (_Ignored,), {'__module__': module})


def _read_card(path: pathlib.Path) -> Mapping[str, Any]:
    try:
        card = json.loads(path.with_name('config.json').read_text(encoding='utf-8'))
    except (OSError, ValueError):    # of something else, or not there
        return {}
    return card if 'architecture' in _mapping(card) and 'pretrained_cfg' in card else {}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
