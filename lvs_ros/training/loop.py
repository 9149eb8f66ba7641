# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The optimisation loop that all stages share: schedule, mixed precision, averaging, resuming."""

import dataclasses
import json
import math
import os
import pathlib
import time
from typing import Any, Callable, Mapping, Optional

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from lvs_ros.errors import ModelFileError

Losses = Mapping[str, torch.Tensor]


@dataclasses.dataclass(frozen=True)
class LoopOptions:
    """Settings of one stage.

    :param steps: optimiser steps
    :param batch_size: frames (or groups of frames) a step
    :param learning_rate: at its highest; warmed up over 5 % of the steps, then a cosine to zero
    :param minutes: end earlier, with the schedule shortened to fit; 0 = no limit
    :param folder: where checkpoints and the log go; None = nowhere
    :param checkpoint_steps: a checkpoint every so many steps
    """

    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.02
    minutes: float = 0.0
    folder: Optional[pathlib.Path] = None
    checkpoint_steps: int = 500


def fit(stage: str, trained: nn.Module, compute_losses: Callable[[], Losses],
        options: LoopOptions) -> None:
    """Train in place; at the end ``trained`` holds the running average of its weights.

    :param stage: name, for the progress bar and the files
    :param trained: the modules that change, in training mode
    :param compute_losses: draws a batch and returns its losses by name; their sum is minimised
    """
    device = next(trained.parameters()).device
    optimiser = torch.optim.AdamW(trained.parameters(), lr=options.learning_rate,
                                  weight_decay=options.weight_decay,
                                  fused=device.type == 'cuda')
    average = AveragedModel(trained, multi_avg_fn=get_ema_multi_avg_fn(0.998), use_buffers=True)
    state = _Checkpoint(stage, options, trained, average, optimiser)
    started, elapsed_s = time.monotonic(), state.load(device)
    started -= elapsed_s
    bar = tqdm(total=options.steps, initial=state.step, desc=stage, mininterval=2.0)
    while (progress := _progress(state.step, time.monotonic() - started, options)) < 1:
        for group in optimiser.param_groups:
            group['lr'] = options.learning_rate * _rate(progress)
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == 'cuda'):
            losses = compute_losses()
        total = torch.stack([value.float() for value in losses.values()]).sum()
        total.backward()
        nn.utils.clip_grad_norm_(trained.parameters(), 5.0)
        optimiser.step()
        average.update_parameters(trained)
        state.step += 1
        bar.update()
        if state.step % 20 == 0:
            values = {name: round(float(value.detach()), 4) for name, value in losses.items()}
            bar.set_postfix(values)
            state.log(values)
        if state.step % options.checkpoint_steps == 0:
            state.save(time.monotonic() - started)
    bar.close()
    state.save(time.monotonic() - started)
    trained.load_state_dict(average.module.state_dict())


def _progress(step: int, elapsed_s: float, options: LoopOptions) -> float:
    limit_s = options.minutes * 60
    return max(step / max(1, options.steps), elapsed_s / limit_s if limit_s else 0.0)


def _rate(progress: float, warm_up: float = 0.05) -> float:
    if progress < warm_up:
        return max(0.01, progress / warm_up)
    return 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up)))


class _Checkpoint:
    """Everything that changes in a stage, so that an interrupted one goes on where it was."""

    def __init__(self, stage: str, options: LoopOptions, trained: nn.Module,
                 average: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        self.step = 0
        self._parts: dict[str, Any] = {
            'trained': trained, 'average': average, 'optimiser': optimiser}
        self._folder = options.folder
        self._stage = stage

    @property
    def _path(self) -> Optional[pathlib.Path]:
        return None if self._folder is None else self._folder / f'{self._stage}.checkpoint.pt'

    def load(self, device: torch.device) -> float:
        """Restore the newest checkpoint, if any; return the seconds already spent."""
        path = self._path
        if path is None or not path.is_file():
            return 0.0
        try:
            saved = torch.load(path, map_location=device, weights_only=True)
            for name, part in self._parts.items():
                part.load_state_dict(saved[name])
        except Exception as error:  # the unpickler of a broken file raises anything
            raise ModelFileError(
                f'{path}: not a checkpoint of this training ({error}); remove it to start the '
                'stage anew, or choose another output folder') from error
        self.step = int(saved['step'])
        return float(saved['elapsed_s'])

    def save(self, elapsed_s: float) -> None:
        path = self._path
        if path is None:
            return
        saved = {name: part.state_dict() for name, part in self._parts.items()}
        partial = path.with_suffix('.partial')
        torch.save({**saved, 'step': self.step, 'elapsed_s': elapsed_s}, partial)
        os.replace(partial, path)

    def log(self, values: Mapping[str, float]) -> None:
        if self._folder is not None:
            with open(self._folder / f'{self._stage}.jsonl', 'a', encoding='utf-8') as file:
                file.write(json.dumps({'step': self.step, **values}) + '\n')
