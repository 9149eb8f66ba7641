# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The optimisation loop that all stages share: schedule, mixed precision, averaging, resuming."""

import contextlib
import dataclasses
import math
import pathlib
import time
from typing import Any, Callable, Iterator, Mapping, Optional, Sequence

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lvs_ros.backends.cpu.library import has_amx_instructions
from lvs_ros.errors import ConfigurationError, ModelFileError, TrainingError
from lvs_ros.training import distributed
from lvs_ros.training.best import Best, Measured
from lvs_ros.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from lvs_ros.training.curves import plot_curves
from lvs_ros.training.distributed import Losses
from lvs_ros.training.progress_display import (LaterStage, ProgressDisplay, RecentSteps,
                                               describe)
from lvs_ros.training.random_state import RandomState
from lvs_ros.training.stage_log import Record, StageLog, ValidationRecord

PRECISIONS = ('auto', 'float32', 'bfloat16')
LOG_STEPS = 20
"""A record of the log every so many steps, of their mean."""
PATIENCE_STEPS = 20
"""So many steps in a row whose loss is not finite end the training."""
VALIDATIONS = 20
"""So many in a stage, where nobody says how often."""


@dataclasses.dataclass(frozen=True)
class LoopOptions:
    """Settings of one stage.

    :param steps: optimiser steps
    :param batch_size: frames (or groups of frames) a step, in each process
    :param learning_rate: at its highest; warmed up over 5 % of the steps, then a cosine to zero
    :param minutes: end earlier, with the schedule shortened to fit; 0 = no limit
    :param folder: where checkpoints, logs and curves go; None = nowhere
    :param checkpoint_steps: a checkpoint at the latest after so many steps
    :param checkpoint_minutes: and after so much time
    :param precision: bfloat16 (where it is safe, by autocast), float32, or auto: the first on a
        GPU that computes with it and on a CPU that multiplies matrices of it, else the second
    :param should_stop: looked at before each step; when true, the stage writes a checkpoint and
        raises KeyboardInterrupt
    :param origin: weights and data that the stage sets out from, in words; a checkpoint of another
        origin is refused
    :param validate_every: steps between two validations; None = 20 a stage, but no more than take
        a sixth of the time
    :param patience: end after so many validations in a row without better weights; 0 = never
    :param on_best: called, in the main process, when weights are the best so far, while the
        modules that are trained hold them
    :param later: what follows this stage, for the time left
    """

    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.02
    minutes: float = 0.0
    folder: Optional[pathlib.Path] = None
    checkpoint_steps: int = 500
    checkpoint_minutes: float = 10.0
    precision: str = 'auto'
    should_stop: Callable[[], bool] = lambda: False
    origin: str = ''
    validate_every: Optional[int] = None
    patience: int = 0
    on_best: Callable[[Best], None] = lambda _best: None
    later: Sequence[LaterStage] = ()

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ConfigurationError(f'precision is {self.precision!r}: expected one of '
                                     + ', '.join(PRECISIONS))

    @property
    def limit_s(self) -> float:
        """The time limit; infinite without one."""
        return self.minutes * 60 if self.minutes > 0 else math.inf


@dataclasses.dataclass(frozen=True)
class Fitted:
    """What a stage came to.

    :param step: steps done
    :param best: by the held-out part; None without one
    :param last: the weights at the end, by name; None where ``trained`` holds them
    """

    step: int
    best: Optional[Best] = None
    last: Optional[Mapping[str, torch.Tensor]] = None


def fit(stage: str, trained: nn.Module, compute_losses: Callable[[], Losses],
        options: LoopOptions, *, generator: Optional[np.random.Generator] = None,
        validate: Optional[Callable[[], Measured]] = None) -> Fitted:
    """Train in place; at the end ``trained`` holds the running average of its weights.

    With ``validate`` it is the average that was best by it, not the last one.

    In a group of processes (see :mod:`lvs_ros.training.distributed`) each calls this with its own
    batches, and all end with the same weights.

    :param stage: name, for the display and the files
    :param trained: the modules that change, in training mode
    :param compute_losses: draws a batch and returns its losses by name, the same names at every
        step; their sum is minimised
    :param generator: what ``compute_losses`` draws from beside torch's own generators, so that
        its state can be kept in the checkpoints
    :param validate: measures what ``trained`` holds, in evaluation mode, on what is held out; is
        called in the main process only
    :raises ModelFileError: when there is a checkpoint that does not fit
    :raises TrainingError: when the loss stays infinite or NaN, or files cannot be written
    :raises KeyboardInterrupt: when ``options.should_stop`` said so; a checkpoint is written then
    """
    return _Loop(stage, trained, compute_losses, options, generator, validate).run()


class _Loop:

    def __init__(self, stage: str, trained: nn.Module, compute_losses: Callable[[], Losses],
                 options: LoopOptions, generator: Optional[np.random.Generator],
                 validate: Optional[Callable[[], Measured]]) -> None:
        self._stage, self._trained, self._options = stage, trained, options
        self._generator, self._measure = generator, validate
        self._device = next(trained.parameters()).device
        self._in_bfloat16 = _in_bfloat16(options.precision, self._device)
        distributed.share_batch_norm(trained)
        self._compute_losses = distributed.shared_computation(trained, compute_losses)
        self._optimiser = torch.optim.AdamW(
            trained.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay,
            fused=self._device.type == 'cuda')
        self._average = AveragedModel(trained, multi_avg_fn=_running_average, use_buffers=True)
        self._state = TrainingState(trained, self._average, self._optimiser,
                                    origin=options.origin)
        self._path = options.folder and options.folder / f'{stage}.checkpoint.safetensors'
        self._recent = RecentSteps(LOG_STEPS)
        self._failures = 0

    def run(self) -> Fitted:
        self._resume()
        self._saved_at = self._state.step, self._state.elapsed_s
        self._started_s = time.monotonic() - self._state.elapsed_s
        self._log = StageLog(self._options.folder if distributed.is_main() else None,
                             self._stage, step=self._state.step)
        self._display = ProgressDisplay(self._stage, fraction=self._fraction(),
                                        is_shown=distributed.is_main())
        try:
            is_finished = self._train()
        finally:
            self._display.close()
            self._log.close()
        self._save()
        if not is_finished:
            self._say(f'interrupted at step {self._state.step} of {self._options.steps}; '
                      + (f'the same command goes on from {self._path}' if self._path
                         else 'nothing was kept, as there is no folder for checkpoints'))
            raise KeyboardInterrupt
        return self._ended()

    def _ended(self) -> Fitted:
        """Load the weights that come out."""
        last, best = self._average.module.state_dict(), self._state.best
        self._trained.load_state_dict(best.weights or last)
        # The running statistics of batch norm are of each process's own batches.
        distributed.copy_from_main(self._trained)
        if not best.weights:
            return Fitted(self._state.step)
        self._say(f'best on the held-out part: {best}; ended at step {self._state.step}')
        return Fitted(self._state.step, best, last)

    def _train(self) -> bool:
        """Take steps until the end (True) or until told to stop (False)."""
        state, display = self._state, self._display
        first_step = state.step
        if state.best.validated_step < 0:
            self._validate()    # what the stage sets out from
        while (progress := self._progress()) < 1:
            if self._is_told_to_stop:
                break
            started_s = time.monotonic()
            rate = self._options.learning_rate * _rate(progress)
            losses = self._step(rate)
            self._recent.add(losses, time.monotonic() - started_s)
            if state.step % LOG_STEPS == 0:
                self._write_record(rate)
            if self._is_validation_due():
                self._validate()
            if self._is_checkpoint_due():
                self._save()
            display.show(self._fraction(), describe(
                step=state.step, steps=self._options.steps, recent=self._recent,
                limit_left_s=self._options.limit_s - state.elapsed_s,
                skipped_steps=state.skipped_steps, overhead_s=self._overhead_s(),
                later=self._options.later, best=state.best))
        if state.step > first_step and state.step % LOG_STEPS:
            self._write_record(rate)
        if progress >= 1 and state.best.validated_step < state.step:
            self._validate()
        return progress >= 1

    def _is_validation_due(self) -> bool:
        best, every, step = self._state.best, self._options.validate_every, self._state.step
        if self._failures:
            return False
        if every is not None:
            return step % every == 0
        # by the clock of rank 0, as of the beginning of the step: the same in all processes
        waited_s = self._state.elapsed_s - best.validated_at_s
        return (int(VALIDATIONS * self._fraction()) > int(VALIDATIONS * best.validated_progress)
                and waited_s >= 5 * best.validation_s)

    def _validate(self) -> None:
        """Measure the running average in the main process, and keep it if it is the best."""
        if self._measure is None:
            return
        state, best = self._state, self._state.best
        started_s = time.monotonic()
        with self._averaged():
            own = self._measured() if distributed.is_main() else None
            measured, duration_s = distributed.gathered((own, time.monotonic() - started_s))[0]
            is_best = best.offer(measured, state.step, self._trained.state_dict())
            if is_best and distributed.is_main():
                self._options.on_best(best)
        best.validated_step, best.validated_progress = state.step, self._fraction()
        best.validation_s, best.validated_at_s = duration_s, state.elapsed_s + duration_s
        self._write(lambda: self._log.write_validation(ValidationRecord(
            state.step, state.elapsed_s, measured, best.step)))
        self._display.say(f'step {state.step}, held out: {measured}'
                          + (' (best so far)' if is_best else f' (best: {best})'))
        if self._is_out_of_patience:
            self._display.say(f'no better model in {best.since} validations (--patience '
                              f'{self._options.patience}): the stage ends at step {state.step}')

    def _measured(self) -> Measured:
        assert self._measure is not None
        with torch.no_grad(), torch.autocast(self._device.type, torch.bfloat16,
                                             enabled=self._in_bfloat16):
            return self._measure()

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        """Let the trained modules hold the running average, in evaluation mode, in the block."""
        own = {name: value.clone() for name, value in self._trained.state_dict().items()}
        self._trained.load_state_dict(self._average.module.state_dict())
        self._trained.eval()
        try:
            yield
        finally:
            self._trained.load_state_dict(own)
            self._trained.train()

    @property
    def _is_out_of_patience(self) -> bool:
        return 0 < self._options.patience <= self._state.best.since

    def _overhead_s(self) -> float:
        """Return what validations take, in seconds a step of training, about."""
        best, step = self._state.best, self._state.step
        if best.validated_step <= 0:
            return 0.0
        return best.validation_s / (self._options.validate_every or max(
            1.0, step / (VALIDATIONS * max(self._fraction(), 1e-9))))

    def _progress(self) -> float:
        """Return the completed fraction of the schedule, 0..1, by the clock of rank 0."""
        # All processes must stop at the same step, or their collective operations would block.
        own_s = time.monotonic() - self._started_s if distributed.is_main() else 0.0
        self._state.elapsed_s, is_told_to_stop = distributed.largest(
            max(own_s, 0.0), float(self._options.should_stop()))
        self._is_told_to_stop = is_told_to_stop > 0
        return self._fraction()

    def _fraction(self) -> float:
        state, options = self._state, self._options
        if state.step >= options.steps or self._is_out_of_patience:
            return 1.0
        return max(state.step / options.steps, state.elapsed_s / options.limit_s)

    def _step(self, learning_rate: float) -> Optional[dict[str, float]]:
        """Take one step; return its losses, or None when it was skipped."""
        for group in self._optimiser.param_groups:
            group['lr'] = learning_rate
        self._optimiser.zero_grad(set_to_none=True)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._in_bfloat16):
            losses = self._compute_losses()
        values = torch.stack([value.float() for value in losses.values()])
        values.sum().backward()
        norm = nn.utils.clip_grad_norm_(self._trained.parameters(), 5.0)
        # All processes see the same numbers here, and so decide alike.
        means = distributed.mean_of(values.detach())
        numbers = torch.cat((means, norm.detach().to(means).reshape(1))).tolist()
        self._state.step += 1
        if not all(math.isfinite(number) for number in numbers):
            self._skip(dict(zip(losses, numbers)))
            return None
        self._failures = 0
        self._optimiser.step()
        self._average.update_parameters(self._trained)
        return dict(zip(losses, numbers))

    def _skip(self, losses: dict[str, float]) -> None:
        self._state.skipped_steps += 1
        self._failures += 1
        # The forward pass that overflowed has changed the running statistics.
        with torch.no_grad():
            for value, good in zip(self._trained.buffers(), self._average.module.buffers()):
                if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                    value.copy_(good)
        if self._failures >= PATIENCE_STEPS:
            broken = [name for name, value in losses.items() if not math.isfinite(value)]
            raise TrainingError(
                f'{self._stage}: {self._failures} steps in a row, up to step {self._state.step}, '
                f'had {" and ".join(broken) or "gradients"} infinite or not a number: the '
                'training has diverged. Start the same command with a lower --learning-rate (it '
                f'was {self._options.learning_rate:g}); {self._kept()}')

    def _kept(self) -> str:
        if self._path is None or not self._path.is_file():
            return 'it starts this stage anew, as no checkpoint was written yet'
        return (f'it goes on from step {self._saved_at[0]}, kept in {self._path}. To start the '
                'stage anew, remove that file')

    def _is_checkpoint_due(self) -> bool:
        # Not while steps are being skipped: a training that diverges must not overwrite the
        # last good state with its own.
        step, elapsed_s = self._saved_at
        return self._failures == 0 and (
            self._state.step - step >= self._options.checkpoint_steps
            or self._state.elapsed_s - elapsed_s >= 60 * self._options.checkpoint_minutes)

    def _save(self) -> None:
        self._saved_at = self._state.step, self._state.elapsed_s
        if self._path is None:
            return
        states = distributed.gathered(RandomState.capture(self._device, self._generator))
        if distributed.is_main():
            save_checkpoint(self._path, self._stage, self._state, states)
            try:
                plot_curves(self._path.parent)
            except (OSError, ValueError) as error:    # the training goes on without the picture
                self._say(f'the curves cannot be drawn ({error})')

    def _resume(self) -> None:
        path, state = self._path, self._state
        if path is None or not any(found := distributed.gathered(path.is_file())):
            return
        if not all(found):
            raise TrainingError(f'{path}: not all processes see this checkpoint; expected an '
                                'output folder that all machines share')
        states = load_checkpoint(path, self._stage, state)
        if distributed.rank() < len(states):  # else there are more processes than last time
            try:
                states[distributed.rank()].restore(self._device, self._generator)
            except (ValueError, RuntimeError, TypeError, KeyError) as error:
                raise ModelFileError(
                    f'{path}: it holds the state of other random generators ({error}); remove it '
                    'to start the stage anew, or choose another output folder') from error
        done = self._fraction() >= 1
        self._say(f'was trained before, for {state.step} steps; to train it anew, remove {path} '
                  'and the checkpoints of the stages after it'
                  if done else f'goes on from step {state.step} of {self._options.steps} ({path})')

    def _write_record(self, learning_rate: float) -> None:
        self._write(lambda: self._log.write(Record(
            step=self._state.step, time_s=self._state.elapsed_s, learning_rate=learning_rate,
            steps_per_s=self._recent.steps_per_s, skipped_steps=self._state.skipped_steps,
            losses=self._recent.losses)))

    def _write(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            raise TrainingError(
                f'{self._options.folder}: the log cannot be written ({error}); make room, and '
                'start the same command again: it goes on from the last checkpoint') from error

    def _say(self, text: str) -> None:
        if distributed.is_main():
            print(f'{self._stage}: {text}', flush=True)


def _running_average(averages: Any, values: Any, count: Any) -> None:
    """Average weights over the last 500 steps or so, or the last tenth where there are fewer.

    Or the weights that a short training began with would be most of the average.

    :param count: steps that were averaged so far
    """
    decay = min(0.998, (1 + int(count)) / (10 + int(count)))
    get_ema_multi_avg_fn(decay)(averages, values, count)


def _in_bfloat16(precision: str, device: torch.device) -> bool:
    if precision != 'auto':
        return precision == 'bfloat16'
    if device.type == 'cuda':
        return torch.cuda.is_bf16_supported()
    return device.type == 'cpu' and has_amx_instructions()


def _rate(progress: float, warm_up: float = 0.05) -> float:
    if progress < warm_up:
        return max(0.01, progress / warm_up)
    return 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up)))
