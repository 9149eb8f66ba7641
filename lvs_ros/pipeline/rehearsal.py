# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Doing some of what a frame needs shortly before it comes.

Between two frames of a camera, cores fall asleep and what they had in their caches is lost. The
next frame then takes half as long again as one that follows another without a pause; less so if
something like it was computed just before.
"""

import collections
import math
import statistics
import time
import warnings
from typing import Callable, Iterator, Optional

_INTERVALS = 5        # between frames, that are looked at
_SPREAD = 0.2         # of the middle one, that each of them may be off
_LONGEST_S = 1.0      # what comes less often is no camera's stream
_EARLY_S = 0.001      # that a rehearsal is to end before the frame
_PAUSE_S = 0.005      # in which nothing gets cold
_FIRST_GUESS_S = 0.01    # how long one takes
_LONGER, _SHORTER = 1.5, 0.9    # times what was expected, when that was wrong


class Rehearsal:
    """When to rehearse, and how. Not thread-safe: one thread calls it. Times are in seconds.

    :param begin: returns the steps of a rehearsal; small ones, for a frame that comes early waits
        for one. After an error, it is not called again.
    :param clock: tells the time
    """

    def __init__(self, begin: Callable[[], Iterator[None]], *,
                 clock: Callable[[], float] = time.perf_counter) -> None:
        self._begin: Optional[Callable[[], Iterator[None]]] = begin
        self._clock = clock
        self._arrivals_s: collections.deque[float] = collections.deque(maxlen=_INTERVALS + 1)
        self._steps: Optional[Iterator[None]] = None
        self._start_s = math.inf
        self._spent_s, self._duration_s = 0.0, _FIRST_GUESS_S

    def note_frame(self, arrival_s: float) -> None:
        """A frame, which came then, is done: the next rehearsal is for the one after it."""
        self._arrivals_s.append(arrival_s)
        if self._steps is not None:    # it was begun too late
            self._duration_s = max(self._duration_s, _LONGER * self._spent_s)
        self._steps, self._spent_s = None, 0.0
        start_s = self._next_s() - self._duration_s - _EARLY_S
        if start_s - self._clock() <= _PAUSE_S:
            # There is no time for one, unless the last one was held up: they do not take so long.
            self._duration_s *= _SHORTER
            start_s = math.inf
        self._start_s = start_s

    def due_in_s(self) -> float:
        """Return how long it is until there is a step to do; infinity = there is none."""
        return math.inf if self._begin is None else max(0.0, self._start_s - self._clock())

    def step(self) -> None:
        """Do a step."""
        assert self._begin is not None
        start_s = self._clock()
        try:
            if self._steps is None:
                self._steps = self._begin()
            next(self._steps)
            self._spent_s += self._clock() - start_s
        except StopIteration:
            self._duration_s = self._spent_s + self._clock() - start_s
            self._steps, self._start_s = None, math.inf
        except BaseException as error:  # noqa: B902: whatever it is, frames go on without
            warnings.warn(f'no more is rehearsed before frames: {error}')
            self._begin = None

    def _next_s(self) -> float:
        """Return when the next frame is expected; infinity = they come too irregularly."""
        arrivals_s = list(self._arrivals_s)
        if len(arrivals_s) <= _INTERVALS:
            return math.inf
        intervals_s = [after - before for before, after in zip(arrivals_s, arrivals_s[1:])]
        middle_s = statistics.median(intervals_s)
        regular = all(abs(value - middle_s) <= _SPREAD * middle_s for value in intervals_s)
        return arrivals_s[-1] + middle_s if regular and middle_s <= _LONGEST_S else math.inf
