# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Model files: one safetensors file that holds weights and architecture.

The weights are stored as float16 by default (half the size, no measurable change of the labels)
and loaded as float32. Nothing in such a file is ever executed. A checksum tells damage: a wrong
bit in an exponent can change a third of all labels, and everything else about the file is right.
"""

import contextlib
import json
import os
import pathlib
import warnings
from typing import Any, Iterator, Mapping, Optional, TypeVar, Union

import safetensors
import safetensors.torch
import torch
from torch import nn

from lvs_ros.errors import ConfigurationError, ModelFileError
from lvs_ros.model.config import ModelConfig
from lvs_ros.model.digest import CHECKSUM, checksum, weights_digest
from lvs_ros.model.network import SegmentationNetwork
from lvs_ros.model.rivals import RIVALS, Rivals
from lvs_ros.resources import config_dir, model_path
from lvs_ros.staging import write_whole

FORMAT = 'lvs_ros 1'
RIVALS_FORMAT = 'lvs_ros rivals 2'
RIVALS_SUFFIX = '.rivals'
_TRAIN_RIVALS = f'lvs train --stages {" ".join(RIVALS)}'

_Module = TypeVar('_Module', bound=nn.Module)


def save_network(network: SegmentationNetwork, path: Union[str, os.PathLike], *,
                 half: bool = True, notes: Optional[Mapping[str, str]] = None) -> None:
    """Write a network to a file; the file is complete or not there.

    :param half: store float16 instead of float32
    :param notes: further metadata, such as how it was trained
    :raises OSError: naming the file, when it cannot be written
    """
    _write(pathlib.Path(path), network, network.config, FORMAT, half=half, notes=notes)


def save_rivals(rivals: Rivals, network: SegmentationNetwork, path: Union[str, os.PathLike], *,
                notes: Optional[Mapping[str, str]] = None) -> None:
    """Write those rivals that are trained to a file, as :func:`save_network` does.

    :param network: the network that they were trained for
    """
    trained = nn.ModuleDict({name: getattr(rivals, name) for name in sorted(rivals.trained)})
    _write(pathlib.Path(path), trained, rivals.config, RIVALS_FORMAT, half=True, notes=notes,
           network=_digest(network))


def _digest(network: SegmentationNetwork) -> str:
    return weights_digest(network.segmentation_parts(), half=True)


def _write(path: pathlib.Path, module: nn.Module, config: ModelConfig, file_format: str, *,
           half: bool, notes: Optional[Mapping[str, str]], **more: str) -> None:
    tensors = {
        name: (value.half() if half and value.is_floating_point() else value).contiguous().cpu()
        for name, value in module.state_dict().items()
        if not name.endswith('num_batches_tracked')}
    metadata = {'format': file_format, 'config': config.to_json(),
                'notes': json.dumps(dict(notes or {}), sort_keys=True), **more}
    metadata[CHECKSUM] = checksum(metadata, tensors)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, safetensors.torch.save(tensors, metadata=metadata))


def find_model(name_or_path: Union[str, os.PathLike]) -> pathlib.Path:
    """Return the file of a model: a name in ``config/models``, or a path.

    :raises ModelFileError: when there is none.
    """
    path = model_path(name_or_path)
    if not path.is_file():
        known = sorted(p.stem for p in (config_dir() / 'models').glob('*.safetensors')
                       if not p.stem.endswith(RIVALS_SUFFIX))
        raise ModelFileError(
            f'no model {str(name_or_path)!r}: expected the path of a .safetensors file, or one '
            f'of the models that come with lvs_ros ({", ".join(known) or "none"})')
    return path


def model_title(name_or_path: Union[str, os.PathLike]) -> str:
    """Return what to call a model in headings and file names: its file's name.

    ``lvs train --out my_model`` makes my_model/model.safetensors: that is called my_model.
    """
    path = find_model(name_or_path).absolute()
    return path.parent.name if path.stem == 'model' and path.parent.name else path.stem


def load_network(name_or_path: Union[str, os.PathLike]) -> SegmentationNetwork:
    """Read a network, float32, on the CPU, in evaluation mode.

    :raises ModelFileError: naming the file and what is wrong with it.
    """
    path = find_model(name_or_path)
    metadata, state = _read(path, FORMAT, 'a model')
    config = _config(path, metadata)
    # First without memory: a configuration may ask for far more than the file holds.
    with torch.device('meta'):
        _check_fit(path, SegmentationNetwork(config).state_dict(), state)
    network = SegmentationNetwork(config)
    network.origin = str(path)
    return _fill(network, state)


def read_config(name_or_path: Union[str, os.PathLike]) -> ModelConfig:
    """Return the architecture and the label set of a model without its weights.

    :raises ModelFileError: naming the file and what is wrong with it.
    """
    path = find_model(name_or_path)
    with _opened(path) as file:
        return _config(path, file.metadata() or {})


def _config(path: pathlib.Path, metadata: Mapping[str, str]) -> ModelConfig:
    try:
        return ModelConfig.from_json(metadata.get('config', ''))
    except ConfigurationError as error:
        raise ModelFileError(f'{path}: {error}') from error


def rivals_path(name_or_path: Union[str, os.PathLike]) -> pathlib.Path:
    """Return where the comparison weights of a model are: ``MODEL.rivals.safetensors`` beside it.

    :raises ModelFileError: when there is no such model.
    """
    path = find_model(name_or_path)
    return path.with_name(f'{path.stem}{RIVALS_SUFFIX}.safetensors')


def rivals_in(path: Union[str, os.PathLike]) -> set[str]:
    """Return the names of the rivals whose weights a file has; none, if there is no such file.

    :raises ModelFileError: when it cannot be read.
    """
    if not pathlib.Path(path).is_file():
        return set()
    with _opened(pathlib.Path(path)) as file:
        return {name.split('.')[0] for name in file.keys()} & set(RIVALS)


def load_rivals(path: Union[str, os.PathLike], network: SegmentationNetwork) -> Rivals:
    """Read the rivals that a file has, float32, on the CPU, in evaluation mode.

    :param network: the network that they were trained for
    :raises ModelFileError: naming the file and what is wrong with it.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise ModelFileError(
            f'{path}: missing; the rows grfp5, small_per_frame and small_per_frame_half need '
            f'weights of their own: train them with "{_TRAIN_RIVALS}", or leave these rows out')
    metadata, state = _read(path, RIVALS_FORMAT, 'a file of comparison weights')
    rivals = Rivals(network)
    rivals.trained = {name.split('.')[0] for name in state} & set(RIVALS)
    _check_fit(path, {name: value for name, value in rivals.state_dict().items()
                      if name.split('.')[0] in rivals.trained}, state)
    _fill(rivals, state)
    if metadata.get('network') != _digest(network):
        raise ModelFileError(
            f'{path}: made for another network than the model beside it; train them for this one '
            f'with "{_TRAIN_RIVALS}", or leave their rows out')
    return rivals


def _read(path: pathlib.Path, file_format: str, what: str
          ) -> tuple[Mapping[str, str], dict[str, torch.Tensor]]:
    with _opened(path) as file:
        metadata = file.metadata() or {}
        state = {name: file.get_tensor(name) for name in file.keys()}
    if metadata.get('format') != file_format:
        raise ModelFileError(
            f'{path}: not {what} of lvs_ros (format {metadata.get("format")!r}, expected '
            f'{file_format!r}); it is made by "lvs train"')
    if CHECKSUM not in metadata:
        warnings.warn(f'{path} has no checksum, so damage to it would not be noticed: it is from '
                      'an older lvs_ros; docs/models.md says how to add one')
    elif metadata[CHECKSUM] != checksum(metadata, state):
        raise ModelFileError(f'{path}: damaged, for its content does not fit its checksum; copy '
                             'it again or train a new one with "lvs train"')
    return metadata, state


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[Any]:
    try:
        with safetensors.safe_open(path, framework='pt') as file:
            yield file
    except (safetensors.SafetensorError, OSError) as error:
        raise ModelFileError(f'{path}: not a readable safetensors file, or cut short ({error}); '
                             'copy it again or train a new one with "lvs train"') from error


def _fill(module: _Module, state: Mapping[str, torch.Tensor]) -> _Module:
    """Load weights that :func:`_check_fit` has looked at."""
    module.load_state_dict({name: value.float() for name, value in state.items()}, strict=False)
    return module.eval()


def read_notes(name_or_path: Union[str, os.PathLike]) -> dict[str, str]:
    """Return the notes that :func:`save_network` stored beside the weights.

    :raises ModelFileError: when the file, or what stands there, cannot be read.
    """
    path = find_model(name_or_path)
    with _opened(path) as file:
        text = (file.metadata() or {}).get('notes', '{}')
    try:
        return {str(name): str(note) for name, note in json.loads(text).items()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise ModelFileError(f'{path}: its notes are damaged ({error}); copy it again') from error


def _check_fit(path: pathlib.Path, expected: Mapping[str, torch.Tensor],
               found: Mapping[str, torch.Tensor]) -> None:
    # Every weight must be there, with its shape: a network that is partly random labels nonsense.
    needed = {name for name in expected if not name.endswith('num_batches_tracked')}
    problems = [f'{name} is missing' for name in sorted(needed - set(found))]
    problems += [f'{name} is unknown' for name in sorted(set(found) - needed)]
    problems += [
        f'{name} has shape {tuple(found[name].shape)} instead of {tuple(expected[name].shape)}'
        for name in sorted(needed & set(found)) if found[name].shape != expected[name].shape]
    problems += [f'{name} has type {found[name].dtype}' for name in sorted(needed & set(found))
                 if not found[name].is_floating_point()]
    problems += [f'{name} holds values that are not finite' for name in sorted(needed & set(found))
                 if not bool(torch.isfinite(found[name].float()).all())]
    if problems:
        more = f' and {len(problems) - 5} more' if len(problems) > 5 else ''
        raise ModelFileError(f'{path}: the weights do not fit the architecture that the file '
                             f'names: {"; ".join(problems[:5])}{more}')
