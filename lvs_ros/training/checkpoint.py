# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of a stage: one safetensors file from which the stage goes on exactly.

Nothing in such a file is ever executed: it holds tensors, and JSON in the metadata.
"""

import dataclasses
import json
import pathlib
from typing import Any, Mapping, Sequence

import safetensors
import safetensors.torch
import torch
from torch import nn

from lvs_ros.errors import ModelFileError, TrainingError
from lvs_ros.model.digest import CHECKSUM, checksum
from lvs_ros.staging import write_whole
from lvs_ros.training.best import Best
from lvs_ros.training.random_state import RandomState

FORMAT = 'lvs_ros checkpoint 1'


@dataclasses.dataclass
class TrainingState:
    """Everything that changes in a stage, apart from the random generators.

    :param step: steps done, those included that were skipped
    :param skipped_steps: steps whose loss was not finite
    :param elapsed_s: seconds spent on them, over all runs
    :param origin: what the stage set out from; a checkpoint of another origin is refused
    :param best: by the held-out part, where there is one
    """

    trained: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    origin: str = ''
    step: int = 0
    skipped_steps: int = 0
    elapsed_s: float = 0.0
    best: Best = dataclasses.field(default_factory=Best)


def save_checkpoint(path: pathlib.Path, stage: str, state: TrainingState,
                    random_states: Sequence[RandomState]) -> None:
    """Write a checkpoint; the file is complete or not there.

    :param random_states: one of each process
    :raises TrainingError: when the file cannot be written.
    """
    tensors = {**_weights(state), **_moments(state), **{
        f'best.{name}': value for name, value in state.best.weights.items()}}
    for rank, random in enumerate(random_states):
        tensors[f'random.{rank}.cpu'] = random.torch_cpu
        if random.torch_cuda is not None:
            tensors[f'random.{rank}.cuda'] = random.torch_cuda
    described = {
        'stage': stage, 'origin': state.origin,
        'optimiser': type(state.optimiser).__name__, 'step': state.step,
        'skipped_steps': state.skipped_steps, 'elapsed_s': state.elapsed_s,
        'best': state.best.described(), 'numpy': [random.numpy for random in random_states]}
    try:
        stored = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        metadata = {'format': FORMAT, 'training': json.dumps(described)}
        metadata[CHECKSUM] = checksum(metadata, stored)
        write_whole(path, safetensors.torch.save(stored, metadata=metadata))
    except OSError as error:
        raise TrainingError(
            f'{path}: the checkpoint cannot be written ({error.strerror}); make room or choose '
            'another output folder, and start the same command again: it goes on from the '
            'checkpoint before, if there is one') from error


def load_checkpoint(path: pathlib.Path, stage: str, state: TrainingState) -> list[RandomState]:
    """Restore what :func:`save_checkpoint` wrote into ``state``, in place.

    :return: the random states of the processes that wrote it
    :raises ModelFileError: naming the file and what is wrong with it; ``state`` is then as before.
    """
    try:
        with safetensors.safe_open(path, framework='pt') as file:
            metadata = file.metadata() or {}
            found = {name: file.get_tensor(name) for name in file.keys()}
    except (safetensors.SafetensorError, OSError) as error:
        raise _unusable(path, f'not a readable checkpoint, or cut short ({error})') from error
    if metadata.get('format') != FORMAT:
        raise _unusable(path, f'not a checkpoint of lvs_ros (format {metadata.get("format")!r}, '
                              f'expected {FORMAT!r})')
    # one from an older lvs_ros has none
    if CHECKSUM in metadata and metadata[CHECKSUM] != checksum(metadata, found):
        raise _unusable(path, 'damaged, for its content does not fit its checksum')
    try:
        described = json.loads(metadata['training'])
        _check_origin(path, described, stage, state)
        counts = (int(described['step']), int(described['skipped_steps']),
                  float(described['elapsed_s']))
        best = Best(**described.get('best', {}), weights={
            name.removeprefix('best.'): value for name, value in found.items()
            if name.startswith('best.')})
        random_states = [
            RandomState(found[f'random.{rank}.cpu'], found.get(f'random.{rank}.cuda'), one)
            for rank, one in enumerate(described['numpy'])]
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _unusable(path, f'its description is damaged ({error!r})') from error
    _check_fit(path, found, state)
    with torch.no_grad():
        for name, value in _weights(state).items():
            value.copy_(found[name])
    _load_moments(found, state)
    state.step, state.skipped_steps, state.elapsed_s = counts
    state.best = best
    return random_states


def _unusable(path: pathlib.Path, problem: str) -> ModelFileError:
    return ModelFileError(f'{path}: {problem}; choose another output folder, or, to start the '
                          'stage anew, remove it and the checkpoints of the stages after it')


def _weights(state: TrainingState) -> dict[str, torch.Tensor]:
    """Weights and buffers by name; they share their memory with the modules."""
    return {f'{part}.{name}': value
            for part, module in (('weights', state.trained), ('average', state.average))
            for name, value in module.state_dict().items()}


def _moments(state: TrainingState) -> dict[str, torch.Tensor]:
    """Return the state of the optimiser for each parameter that it has updated."""
    return {f'optimiser.{name}:{key}': torch.as_tensor(value)
            for name, parameter in state.trained.named_parameters()
            for key, value in state.optimiser.state.get(parameter, {}).items()}


def _load_moments(found: Mapping[str, torch.Tensor], state: TrainingState) -> None:
    restored: dict[int, dict[str, torch.Tensor]] = {}
    for index, (name, parameter) in enumerate(state.trained.named_parameters()):
        prefix = f'optimiser.{name}:'
        for full_name in (one for one in found if one.startswith(prefix)):
            value = found[full_name]
            if value.shape == parameter.shape:
                # In the parameter's own memory layout (channels last, say): the fused kernels
                # of CUDA walk through both in memory order.
                value = torch.empty_like(parameter, requires_grad=False).copy_(value)
            restored.setdefault(index, {})[full_name[len(prefix):]] = value
    state.optimiser.load_state_dict({
        'state': restored, 'param_groups': state.optimiser.state_dict()['param_groups']})


def _check_origin(path: pathlib.Path, described: Mapping[str, Any], stage: str,
                  state: TrainingState) -> None:
    if described['stage'] != stage:
        raise _unusable(path, f'a checkpoint of the stage {described["stage"]!r}, expected one '
                              f'of {stage!r}')
    if described.get('origin', state.origin) != state.origin:
        raise _unusable(path, 'the stage set out from other weights or other data there '
                              f'({described["origin"]}) than now ({state.origin})')
    optimiser = type(state.optimiser).__name__
    if described['optimiser'] != optimiser:
        raise _unusable(path, f'a checkpoint of the optimiser {described["optimiser"]!r}, '
                              f'expected {optimiser!r}')


def _check_fit(path: pathlib.Path, found: Mapping[str, torch.Tensor],
               state: TrainingState) -> None:
    expected = {name: value.shape for name, value in _weights(state).items()}
    if any(name.startswith('best.') for name in found):
        expected.update({name.replace('average.module.', 'best.', 1): shape for name, shape
                         in list(expected.items()) if name.startswith('average.module.')})
    shapes = {name: value.shape for name, value in found.items()
              if not name.startswith(('random.', 'optimiser.'))}
    problems = [f'{name} is missing' for name in expected if name not in shapes]
    problems += [f'{name} is unknown' for name in shapes if name not in expected]
    problems += [f'{name} has shape {tuple(shapes[name])} instead of {tuple(shape)}'
                 for name, shape in expected.items() if shapes.get(name, shape) != shape]
    if problems:
        problems.sort(key=lambda text: not text.startswith('weights.'))  # the average repeats them
        more = f' and {len(problems) - 3} more' if len(problems) > 3 else ''
        raise _unusable(path, 'a checkpoint of another model, or of other classes '
                              f'({"; ".join(problems[:3])}{more})')
    parameters = dict(state.trained.named_parameters())
    for full_name in (name for name in found if name.startswith('optimiser.')):
        name, _, key = full_name[len('optimiser.'):].rpartition(':')
        if name not in parameters or found[full_name].shape not in ((), parameters[name].shape):
            raise _unusable(path, f'{key} of the optimiser does not fit the parameter {name!r}')
