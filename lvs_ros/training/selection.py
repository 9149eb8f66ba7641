# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Measures a stage on what is held out, every so often, and keeps its best weights."""

import contextlib
import dataclasses
import time
from typing import Callable, Iterator, Optional

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from lvs_ros.training import distributed
from lvs_ros.training.best import Best, Measured
from lvs_ros.training.checkpoint import TrainingState

VALIDATIONS = 20
"""So many in a stage, where nobody says how often."""
_LARGEST_SHARE = 1 / 6    # of the time


@dataclasses.dataclass(frozen=True)
class Validation:
    """How a stage is measured on what is held out.

    :param measure: of what the trained modules hold, in evaluation mode; called in the main
        process only
    :param every: steps between two validations; None = :data:`VALIDATIONS` a stage, but no more
        than take a sixth of the time
    :param patience: end after so many validations in a row without better weights; 0 = never
    :param on_best: called in the main process, when weights are the best so far, while the
        trained modules hold them
    """

    measure: Callable[[], Measured]
    every: Optional[int] = None
    patience: int = 0
    on_best: Callable[[Best], None] = lambda _best: None


class Selection:
    """The best weights of a stage.

    :param validation: None = nothing is held out, and nothing is ever due
    :param average: what is measured: the running average of the weights
    :param state: its ``best`` is kept up
    :param autocast: makes the context that the stage computes in
    """

    def __init__(self, validation: Optional[Validation], average: AveragedModel,
                 state: TrainingState, autocast: Callable[[], torch.autocast]) -> None:
        self._validation, self._state = validation, state
        self._average, self._autocast = average, autocast

    def is_due(self, fraction: float) -> bool:
        """Whether to measure after this step.

        :param fraction: of the stage that is done, 0..1
        """
        if self._validation is None:
            return False
        best, every = self._state.best, self._validation.every
        if every is not None:
            return self._state.step % every == 0
        # by the clock of rank 0, as of the beginning of the step: the same in all processes
        waited_s = self._state.elapsed_s - best.validated_at_s
        return (int(VALIDATIONS * fraction) > int(VALIDATIONS * best.validated_progress)
                and waited_s * _LARGEST_SHARE >= best.validation_s * (1 - _LARGEST_SHARE))

    def is_missing(self) -> bool:
        """Whether what there is now has not been measured."""
        return self._validation is not None and self._state.best.validated_step < self._state.step

    @property
    def is_out_of_patience(self) -> bool:
        patience = 0 if self._validation is None else self._validation.patience
        return 0 < patience <= self._state.best.since

    def overhead_s(self, fraction: float) -> float:
        """Return what validations take, in seconds a step of training, about."""
        best, step = self._state.best, self._state.step
        if self._validation is None or best.validated_step <= 0:
            return 0.0
        every = self._validation.every or max(1.0, step / (VALIDATIONS * max(fraction, 1e-9)))
        return best.validation_s / every

    def measure(self, fraction: float) -> tuple[Measured, bool]:
        """Measure in the main process; tell all processes what, and whether it is the best."""
        assert self._validation is not None
        state, best = self._state, self._state.best
        started_s = time.monotonic()
        with self._averaged(state.trained):
            own = self._measured(self._validation) if distributed.is_main() else None
            measured, duration_s = distributed.gathered((own, time.monotonic() - started_s))[0]
            is_best = best.offer(measured, state.step, state.trained.state_dict())
            if is_best and distributed.is_main():
                self._validation.on_best(best)
        best.validated_step, best.validated_progress = state.step, fraction
        best.validation_s, best.validated_at_s = duration_s, state.elapsed_s + duration_s
        return measured, is_best

    def _measured(self, validation: Validation) -> Measured:
        with torch.no_grad(), self._autocast():
            return validation.measure()

    @contextlib.contextmanager
    def _averaged(self, trained: nn.Module) -> Iterator[None]:
        """Let the trained modules hold the running average, in evaluation mode, in the block."""
        own = {name: value.clone() for name, value in trained.state_dict().items()}
        trained.load_state_dict(self._average.module.state_dict())
        trained.eval()
        try:
            yield
        finally:
            trained.load_state_dict(own)
            trained.train()
