# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The figures of a run: rates, latencies, key frames."""

from __future__ import annotations

import itertools
import math
import statistics
from typing import Any

from lvs_ros.benchmark.durations import Durations
from lvs_ros.tool_nodes.run_log import RunLog

SUMMARY = 'summary.json'


def summarise(log: RunLog, *, miou: float | None = None) -> dict[str, Any]:
    """Work out the figures of a run, rounded to what can be told; None where there is none.

    ``frames_sent``: images from the first one that got a mask on; those before came while the node
    was not ready. ``masks_received``: masks of these images. ``key_frames``: how many of these
    became key frames. ``rate_hz``: masks a second, from first to last. ``latency_ms``: from stamp
    to mask. ``slow_track_ms``: median duration of the slow track's jobs. Two jobs in a row of the
    very same duration count as one: at this resolution that is rare.

    :param log: what was seen
    :param miou: against the scene's exact labels, mean over the classes that occur
    """
    stamps = sorted(log.arrivals)
    sent = {stamp for stamp in log.images if stamps and stamp >= stamps[0]}
    statuses = [log.statuses[stamp] for stamp in stamps if stamp in log.statuses]
    span_s = (stamps[-1] - stamps[0]) / 1e9 if len(stamps) > 1 else 0.0
    latency = Durations.of([log.latency_ms(stamp) for stamp in stamps]) if stamps else None
    # Every status repeats the duration of the last finished job.
    jobs_ms = [duration_ms for duration_ms, _ in itertools.groupby(
        status.slow_track_ms for status in statuses) if not math.isnan(duration_ms)]
    return {
        # A mask proves its image, even where the watcher missed that.
        'frames_sent': len(sent.union(stamps)),
        'masks_received': len(stamps),
        'key_frames': sum(status.key_frame for status in statuses),
        'rate_hz': round((len(stamps) - 1) / span_s, 2) if span_s > 0 else None,
        'latency_ms': {'p50': latency and round(latency.p50, 2),
                       'p99': latency and round(latency.p99, 2),
                       'max': latency and round(latency.worst, 2)},
        'slow_track_ms': round(statistics.median(jobs_ms), 2) if jobs_ms else None,
        'miou': None if miou is None else round(miou, 4)}
