# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Model files: one safetensors file that holds weights and architecture.

The weights are stored as float16 by default (half the size, no measurable change of the labels)
and loaded as float32. Nothing in such a file is ever executed.
"""

import json
import os
import pathlib
from typing import Mapping, Optional, Union

import safetensors
import safetensors.torch
import torch

from lvs_ros.errors import ConfigurationError, ModelFileError
from lvs_ros.model.config import ModelConfig
from lvs_ros.model.network import SegmentationNetwork
from lvs_ros.resources import config_dir

FORMAT = 'lvs_ros 1'


def save_network(network: SegmentationNetwork, path: Union[str, os.PathLike], *,
                 half: bool = True, notes: Optional[Mapping[str, str]] = None) -> None:
    """Write a network to a file; the file is complete or not there.

    :param half: store float16 instead of float32
    :param notes: further metadata, such as how it was trained
    """
    path = pathlib.Path(path)
    tensors = {
        name: (value.half() if half and value.is_floating_point() else value).contiguous().cpu()
        for name, value in network.state_dict().items()
        if not name.endswith('num_batches_tracked')}
    metadata = {'format': FORMAT, 'config': network.config.to_json(),
                'notes': json.dumps(dict(notes or {}), sort_keys=True)}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + '.partial')
    try:
        partial.write_bytes(safetensors.torch.save(tensors, metadata=metadata))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def find_model(name_or_path: Union[str, os.PathLike]) -> pathlib.Path:
    """Return the file of a model: a name in ``config/models``, or a path.

    :raises ModelFileError: when there is none.
    """
    path = pathlib.Path(name_or_path)
    if path.suffix != '.safetensors':
        path = config_dir() / 'models' / f'{name_or_path}.safetensors'
    if not path.is_file():
        known = sorted(p.stem for p in (config_dir() / 'models').glob('*.safetensors'))
        raise ModelFileError(
            f'no model {str(name_or_path)!r}: expected the path of a .safetensors file, or one '
            f'of the models that come with lvs_ros ({", ".join(known) or "none"})')
    return path


def load_network(name_or_path: Union[str, os.PathLike]) -> SegmentationNetwork:
    """Read a network, float32, on the CPU, in evaluation mode.

    :raises ModelFileError: naming the file and what is wrong with it.
    """
    path = find_model(name_or_path)
    try:
        with safetensors.safe_open(path, framework='pt') as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}
    except (safetensors.SafetensorError, OSError) as error:
        raise ModelFileError(f'{path}: not a readable safetensors file, or cut short ({error}); '
                             'copy it again or train a new one with "lvs train"') from error
    if metadata.get('format') != FORMAT:
        raise ModelFileError(
            f'{path}: not a model of lvs_ros (format {metadata.get("format")!r}, expected '
            f'{FORMAT!r}); models are made by "lvs train"')
    try:
        network = SegmentationNetwork(ModelConfig.from_json(metadata.get('config', '')))
    except ConfigurationError as error:
        raise ModelFileError(f'{path}: {error}') from error
    _check_fit(path, network.state_dict(), state)
    network.load_state_dict({name: value.float() for name, value in state.items()}, strict=False)
    return network.eval()


def read_notes(name_or_path: Union[str, os.PathLike]) -> dict[str, str]:
    """Return the notes that :func:`save_network` stored beside the weights."""
    with safetensors.safe_open(find_model(name_or_path), framework='pt') as file:
        return json.loads((file.metadata() or {}).get('notes', '{}'))


def _check_fit(path: pathlib.Path, expected: Mapping[str, torch.Tensor],
               found: Mapping[str, torch.Tensor]) -> None:
    # Every weight must be there, with its shape: a network that is partly random labels nonsense.
    needed = {name for name in expected if not name.endswith('num_batches_tracked')}
    problems = [f'{name} is missing' for name in sorted(needed - set(found))]
    problems += [f'{name} is unknown' for name in sorted(set(found) - needed)]
    problems += [
        f'{name} has shape {tuple(found[name].shape)} instead of {tuple(expected[name].shape)}'
        for name in sorted(needed & set(found)) if found[name].shape != expected[name].shape]
    problems += [f'{name} holds values that are not finite' for name in sorted(needed & set(found))
                 if not bool(torch.isfinite(found[name].float()).all())]
    if problems:
        more = f' and {len(problems) - 5} more' if len(problems) > 5 else ''
        raise ModelFileError(f'{path}: the weights do not fit the architecture that the file '
                             f'names: {"; ".join(problems[:5])}{more}')
