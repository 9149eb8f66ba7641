# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The clocks that a run is timed with."""

import time
from typing import Protocol


class Clock(Protocol):
    """What tells the time during a run, in seconds from an arbitrary origin."""

    def now(self) -> float:
        """Return the time."""

    def sleep_until(self, time_s: float) -> None:
        """Return at this time; at once when it has passed."""

    def leave_out(self, duration_s: float) -> None:
        """Take out of the time something that only the simulation does."""


class RealClock:
    """The machine's own: a frame that has not arrived yet is waited for."""

    def now(self) -> float:
        """Return the time."""
        return time.perf_counter()

    def sleep_until(self, time_s: float) -> None:
        """Sleep."""
        # the system may wake a thread early
        while (remaining_s := time_s - time.perf_counter()) > 0:
            time.sleep(remaining_s)

    def leave_out(self, duration_s: float) -> None:
        """Nothing can be left out of real time."""
        raise NotImplementedError('a real clock cannot leave anything out')


class SkippingClock:
    """Runs like the real one while something is computed, and skips the time between frames.

    So frames queue as those of a camera do, and the run takes less time than the drive.
    """

    def __init__(self) -> None:
        self._skipped_s = 0.0

    def now(self) -> float:
        """Return the time."""
        return time.perf_counter() + self._skipped_s

    def sleep_until(self, time_s: float) -> None:
        """Skip to this time."""
        self._skipped_s += max(0.0, time_s - self.now())

    def leave_out(self, duration_s: float) -> None:
        """Go back by a duration."""
        self._skipped_s -= duration_s
