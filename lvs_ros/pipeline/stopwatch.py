# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Stage times, without making a GPU wait for its own measurement."""

import time
from typing import Any

import torch


class Stopwatch:
    """Measures consecutive stages; on a GPU by events in its stream."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._cuda = device, device.type == 'cuda'
        self._marks: list[tuple[str, Any]] = [('', self._mark())]

    def lap(self, stage: str) -> None:
        """End the stage that began with the last lap, or at the start."""
        self._marks.append((stage, self._mark()))

    def stage_ms(self) -> dict[str, float]:
        """Milliseconds of each stage, of all its laps; waits for the device to get there."""
        if self._cuda:
            self._marks[-1][1].synchronize()
        stage_ms: dict[str, float] = {}
        for (_, before), (stage, after) in zip(self._marks, self._marks[1:]):
            stage_ms[stage] = stage_ms.get(stage, 0.0) + self._between_ms(before, after)
        return stage_ms

    def _mark(self) -> Any:
        if not self._cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self._device))
        return event

    def _between_ms(self, before: Any, after: Any) -> float:
        return before.elapsed_time(after) if self._cuda else (after - before) * 1e3
