# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whether a node still lives, by when it was last heard of.

The graph of ROS tells the end of a process that was killed only after its lease, 20 s with Fast
DDS. Diagnostics come at a steady rate with and without images.
"""

from __future__ import annotations

_LEAST_S = 3.0
_PERIODS = 2.5


class Life:
    """Of one node.

    :param now_s: when one began to listen, on a clock that never jumps.
    """

    def __init__(self, now_s: float) -> None:
        self._last_s = now_s
        self.period_s = 1.0
        """From one diagnosis to the next, as far as it is known."""

    def heard(self, now_s: float) -> None:
        """Note that something came."""
        self._last_s = now_s

    def silence(self, now_s: float) -> str | None:
        """Return a text about its silence where that is too long, else None."""
        silent_s = now_s - self._last_s
        if silent_s <= max(_LEAST_S, _PERIODS * self.period_s):
            return None
        return (f'nothing has come from it for {silent_s:.0f} s, where its diagnostics come '
                f'every {self.period_s:g} s: it has ended, hangs, or cannot be reached. This page '
                'goes on by itself when it is back')
