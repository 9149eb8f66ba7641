# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A clock that a test turns by hand, and the status of a frame that does not matter."""

from lvs_ros.pipeline.frame import StepStatus

STATUS = StepStatus(
    schedule='low_latency', key_frame=False, key_stamp_ns=0, key_age_frames=0,
    key_provisional=False, deviation=None, threshold=0.1, slow_track_busy=False,
    slow_track_failures=0, slow_track_error=None, slow_track_ms=None, stage_ms={},
    reset_reason=None)


class HandClock:
    """Stands still but for what is computed and slept."""

    def __init__(self) -> None:
        self.time_s = 1000.0

    def now(self) -> float:
        return self.time_s

    def sleep_until(self, time_s: float) -> None:
        self.time_s = max(self.time_s, time_s)

    def leave_out(self, duration_s: float) -> None:
        self.time_s -= duration_s
