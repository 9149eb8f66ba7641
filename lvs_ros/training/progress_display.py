# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the user sees of a stage: a bar in a terminal, a line a minute anywhere else."""

import collections
import math
import sys
import time
from typing import Any, Deque, Mapping, Optional

from tqdm import tqdm

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
        """The mean of each loss over the steps that had it."""
        names = dict.fromkeys(name for losses in self._losses for name in losses)
        columns = {name: [losses[name] for losses in self._losses if name in losses]
                   for name in names}
        return {name: sum(column) / len(column) for name, column in columns.items()}


def time_left_s(*, steps_left: float, steps_per_s: float, limit_left_s: float) -> float:
    """Seconds until the end of a stage, which comes by its steps or by its time limit.

    :param steps_per_s: 0 when it is not known yet
    :param limit_left_s: infinite without a limit
    """
    by_steps_s = steps_left / steps_per_s if steps_per_s > 0 else math.inf
    return max(0.0, min(by_steps_s, limit_left_s))


def describe(*, step: int, steps: int, has_limit: bool, left_s: float, recent: RecentSteps,
             skipped_steps: int) -> str:
    """Return the text beside the bar."""
    words = [f'step {step} of at most {steps}' if has_limit else f'step {step}/{steps}']
    if math.isfinite(left_s):
        words.append(f'{tqdm.format_interval(left_s)} left')
    if recent.steps_per_s > 0:
        speed = recent.steps_per_s
        words.append(f'{speed:.1f} steps/s' if speed >= 1 else f'{1 / speed:.1f} s/step')
    if skipped_steps:
        words.append(f'{skipped_steps} skipped')
    return ', '.join([*words, *(f'{name} {value:#.3g}' for name, value in recent.losses.items())])


class ProgressDisplay:
    """Shows how far a stage has come.

    :param fraction: from where it goes on, 0..1
    :param is_shown: False in the processes that have nothing to say
    """

    def __init__(self, stage: str, *, fraction: float, is_shown: bool) -> None:
        self._stage, self._is_shown = stage, is_shown
        self._last_line_s = time.monotonic()
        self._bar: Optional[_Bar] = None
        if is_shown and sys.stderr.isatty():
            self._bar = _Bar(total=1.0, initial=min(1.0, fraction), desc=stage,
                             mininterval=0.5, miniters=0, dynamic_ncols=True,
                             bar_format='{desc} {percentage:3.0f}%|{bar}| {details}')

    def show(self, fraction: float, details: str) -> None:
        """Show that so much of the stage is done, 0..1, in the terminal's own time."""
        if self._bar is not None:
            self._bar.details = details
            self._bar.update(min(1.0, fraction) - self._bar.n)
        elif self._is_shown and time.monotonic() - self._last_line_s >= LINE_INTERVAL_S:
            self._last_line_s = time.monotonic()
            print(f'{self._stage}: {100 * fraction:.0f} %, {details}', flush=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _Bar(tqdm):
    """A bar whose length and time left need not follow from a count of steps."""

    details = 'starting'

    @property
    def format_dict(self) -> Any:
        return {**super().format_dict, 'details': self.details}
