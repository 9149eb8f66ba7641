# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The figures of a run: rates, latencies, key frames."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Any

from lvs_ros.benchmark.durations import Durations
from lvs_ros.tool_nodes.run_log import RunLog, StatusSample

SUMMARY = 'summary.json'


@dataclasses.dataclass(frozen=True)
class RunSummary:
    """What a run comes to.

    :param frames_sent: images from the first one that got a mask on; those before came while the
        node was not ready
    :param masks_received: masks of these images
    :param key_frames: how many of these became key frames
    :param rate_hz: masks a second, from first to last
    :param latency_ms: from stamp to mask; None: there is no mask
    :param slow_track_ms: median duration of the slow track's jobs; None: none finished
    :param miou: against the scene's exact labels, mean over the classes that occur
    """

    frames_sent: int
    masks_received: int
    key_frames: int
    rate_hz: float | None
    latency_ms: Durations | None
    slow_track_ms: float | None
    miou: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return what stands in ``summary.json``, rounded to what can be told."""
        def rounded(value: float | None, digits: int) -> float | None:
            return None if value is None else round(value, digits)

        latency = {key: None if self.latency_ms is None
                   else round(getattr(self.latency_ms, name), 2)
                   for key, name in (('p50', 'p50'), ('p99', 'p99'), ('max', 'worst'))}
        return {'frames_sent': self.frames_sent, 'masks_received': self.masks_received,
                'key_frames': self.key_frames, 'rate_hz': rounded(self.rate_hz, 2),
                'latency_ms': latency, 'slow_track_ms': rounded(self.slow_track_ms, 2),
                'miou': rounded(self.miou, 4)}


def summarise(log: RunLog, *, miou: float | None = None) -> RunSummary:
    """Work out the figures of a run.

    :param log: what was seen
    :param miou: where it is known
    """
    stamps = sorted(log.arrivals)
    first = stamps[0] if stamps else None
    sent = {stamp for stamp in log.images if first is not None and stamp >= first}
    statuses = [log.statuses[stamp] for stamp in stamps if stamp in log.statuses]
    span_s = (stamps[-1] - stamps[0]) / 1e9 if len(stamps) > 1 else 0.0
    durations = slow_track_durations_ms(statuses)
    return RunSummary(
        # A mask proves its image, even where the watcher missed that.
        frames_sent=len(sent.union(stamps)), masks_received=len(stamps),
        key_frames=sum(status.key_frame for status in statuses),
        rate_hz=(len(stamps) - 1) / span_s if span_s > 0 else None,
        latency_ms=Durations.of([log.latency_ms(stamp) for stamp in stamps]) if stamps else None,
        slow_track_ms=statistics.median(durations) if durations else None, miou=miou)


def slow_track_durations_ms(statuses: Sequence[StatusSample]) -> list[float]:
    """Return the duration of each job; every status repeats that of the last finished one.

    Two jobs in a row of the very same duration count as one: at this resolution that is rare.
    """
    durations: list[float] = []
    last = None
    for status in statuses:
        if status.slow_track_ms is not None and status.slow_track_ms != last:
            last = status.slow_track_ms
            durations.append(last)
    return durations
