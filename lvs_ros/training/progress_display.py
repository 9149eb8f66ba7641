# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the user sees of a stage: a bar in a terminal, a line a minute anywhere else."""

import collections
import dataclasses
import math
import statistics
import sys
import time
from typing import Deque, Mapping, Optional, Sequence

from tqdm import tqdm

from lvs_ros.training.best import Best

LINE_INTERVAL_S = 60.0


class RecentSteps:
    """Losses and durations of the last steps.

    :param count: how many of them
    """

    def __init__(self, count: int) -> None:
        self._losses: Deque[Mapping[str, float]] = collections.deque(maxlen=count)
        self._durations_s: Deque[float] = collections.deque(maxlen=count)

    def add(self, losses: Optional[Mapping[str, float]], duration_s: float) -> None:
        """Note a step; ``losses`` is None for one that was skipped."""
        if losses is not None:
            self._losses.append(losses)
        self._durations_s.append(duration_s)

    @property
    def steps_per_s(self) -> float:
        """Mean speed; 0 before the first step."""
        return len(self._durations_s) / max(sum(self._durations_s), 1e-9)

    @property
    def losses(self) -> dict[str, float]:
        """The mean of each loss over the steps that were not skipped."""
        names = self._losses[-1] if self._losses else ()
        return {name: statistics.fmean(losses[name] for losses in self._losses)
                for name in names}


@dataclasses.dataclass(frozen=True)
class LaterStage:
    """A stage that follows the present one.

    :param steps: of it at most
    :param limit_s: its time limit; infinite without one
    :param cost: what a step of it takes, in steps of the present one, about
    """

    steps: int
    limit_s: float
    cost: float


def describe(*, step: int, steps: int, limit_left_s: float, recent: RecentSteps,
             skipped_steps: int, overhead_s: float = 0.0, later: Sequence[LaterStage] = (),
             best: Optional[Best] = None) -> str:
    """Return the text beside the bar.

    :param limit_left_s: until the time limit of the stage; infinite without one
    :param overhead_s: of validations, a step
    :param later: the stages that follow
    :param best: on the held-out part
    """
    words = [f'step {step} of at most {steps}' if math.isfinite(limit_left_s)
             else f'step {step}/{steps}']
    speed = recent.steps_per_s
    step_s = 1 / speed + overhead_s if speed > 0 else math.inf
    left_s = min((steps - step) * step_s, limit_left_s)
    if math.isfinite(left_s):
        words.append(f'{_interval(left_s)} left')
        all_s = left_s + sum(min(one.steps * one.cost * step_s, one.limit_s) for one in later)
        if later and math.isfinite(all_s):
            words.append(f'about {_interval(all_s)} for all stages')
    if speed > 0:
        words.append(f'{speed:.1f} steps/s' if speed >= 1 else f'{1 / speed:.1f} s/step')
    if skipped_steps:
        words.append(f'{skipped_steps} skipped')
    if best is not None and best.weights:
        words.append(f'held out: best {best}')
    return ', '.join([*words, *(f'{name} {value:#.3g}' for name, value in recent.losses.items())])


def _interval(seconds: float) -> str:
    return tqdm.format_interval(max(0.0, seconds))


class ProgressDisplay:
    """Shows how far a stage has come.

    :param fraction: from where it goes on, 0..1
    :param is_shown: False in the processes that have nothing to say
    """

    def __init__(self, stage: str, *, fraction: float, is_shown: bool) -> None:
        self._stage, self._is_shown = stage, is_shown
        self._last_line_s = time.monotonic()
        self._bar: Optional[tqdm] = None
        if is_shown and sys.stderr.isatty():
            self._bar = tqdm(total=1.0, initial=min(1.0, fraction), desc='starting',
                             mininterval=0.5, miniters=0, dynamic_ncols=True,
                             bar_format=stage + ' {percentage:3.0f}%|{bar}| {desc}')

    def show(self, fraction: float, details: str) -> None:
        """Show that so much of the stage is done, 0..1, in the terminal's own time."""
        if self._bar is not None:
            self._bar.set_description_str(details, refresh=False)
            self._bar.update(min(1.0, fraction) - self._bar.n)
        elif self._is_shown and time.monotonic() - self._last_line_s >= LINE_INTERVAL_S:
            self._last_line_s = time.monotonic()
            print(f'{self._stage}: {100 * fraction:.0f} %, {details}', flush=True)

    def say(self, text: str) -> None:
        """Write a line of its own."""
        if self._bar is not None:
            self._bar.write(f'{self._stage}: {text}', file=sys.stdout)
        elif self._is_shown:
            print(f'{self._stage}: {text}', flush=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
