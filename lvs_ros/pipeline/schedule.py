# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Schedules: which frames become key frames, and whether S_h may keep them waiting.

A schedule is a pure policy: it sees the key frame's age and the predicted deviation, nothing
else, and keeps no state. The first frame is a key frame under every schedule and is computed in
full, since there is nothing to propagate yet.
"""

import dataclasses
from typing import ClassVar, Optional

from lvs_ros.options import PipelineOptions


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Every frame in full: the per-frame network.

    :cvar background: S_h of a key frame runs in the background, the frame is propagated
    :cvar needs_deviation: the policy looks at the predicted deviation
    """

    background: ClassVar[bool] = False
    needs_deviation: ClassVar[bool] = False

    def is_key_frame(self, *, key_age_frames: int, deviation: Optional[float]) -> bool:
        """Tell whether the frame becomes a key frame.

        :param key_age_frames: frames since the key frame, 1 for the one after it
        :param deviation: predicted deviation, where :attr:`needs_deviation`
        """
        return True


@dataclasses.dataclass(frozen=True)
class FixedSchedule(Schedule):
    """Every n-th frame (paper, "fixed schedule"; Clockwork Net, Deep Feature Flow)."""

    interval_frames: int

    def is_key_frame(self, *, key_age_frames: int, deviation: Optional[float]) -> bool:
        """True on every n-th frame."""
        return key_age_frames >= self.interval_frames


@dataclasses.dataclass(frozen=True)
class AdaptiveSchedule(Schedule):
    """Where the predicted deviation exceeds the threshold (paper, section 3.3)."""

    threshold: float
    max_key_age_frames: int = 0
    needs_deviation: ClassVar[bool] = True

    def is_key_frame(self, *, key_age_frames: int, deviation: Optional[float]) -> bool:
        """True for a deviation above the threshold, or a key frame that has grown too old."""
        assert deviation is not None
        if self.max_key_age_frames and key_age_frames >= self.max_key_age_frames:
            return True
        # A predicted deviation can be 0.0 exactly; threshold 0 still means every frame.
        # Not a number (features that overflowed) must not keep the stream from a new key frame.
        return not deviation <= self.threshold or self.threshold == 0.0


@dataclasses.dataclass(frozen=True)
class LowLatencySchedule(AdaptiveSchedule):
    """The same, but no frame waits for S_h (paper, section 3.3, "low-latency")."""

    background: ClassVar[bool] = True


def schedule_of(options: PipelineOptions) -> Schedule:
    """Return the policy that the options describe."""
    if options.schedule == 'every_frame':
        return Schedule()
    if options.schedule == 'fixed':
        return FixedSchedule(interval_frames=options.fixed_interval)
    kind = LowLatencySchedule if options.schedule == 'low_latency' else AdaptiveSchedule
    return kind(threshold=options.threshold, max_key_age_frames=options.max_key_age_frames)
