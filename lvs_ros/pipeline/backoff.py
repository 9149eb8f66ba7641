# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""When S_h is tried again after it has failed."""

_WAITS_NS = (0, 125_000_000, 250_000_000, 500_000_000, 1_000_000_000)
_FAILURES = len(_WAITS_NS)    # from so many on, the last of them
_LONGEST_FRAMES = 30    # where the stamps stand still


class Backoff:
    """At once, then after an eighth of a second, and twice as long each time, up to a second.

    The time is that of the stamps, so that a replay does the same at any speed. Cameras whose
    stamps stand still wait for some frames.
    """

    def __init__(self) -> None:
        self._failures = 0    # since the last success
        self._number, self._stamp_ns = 0, 0

    @property
    def failing(self) -> bool:
        """Whether it has failed the last time."""
        return self._failures > 0

    def note_failure(self, number: int, stamp_ns: int, *, longest: bool = False) -> None:
        """It failed.

        :param number: of the frame at which that became known; counts the frames
        :param stamp_ns: of that frame
        :param longest: wait for a second whether it has failed before or not
        """
        self._failures = max(self._failures + 1, _FAILURES if longest else 0)
        self._number, self._stamp_ns = number, stamp_ns

    def note_success(self) -> None:
        """It works, or there is nothing to be tried again."""
        self._failures = 0

    def is_due(self, number: int, stamp_ns: int) -> bool:
        """Tell whether the frame is to try it again."""
        if self._failures == 0:
            return False
        wait_ns = _WAITS_NS[min(self._failures, _FAILURES) - 1]
        return (stamp_ns - self._stamp_ns >= wait_ns
                or number - self._number >= _LONGEST_FRAMES)
