# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a FrameStatus message takes over from the pipeline, for the node and for recordings."""

import math
from typing import Any, Optional

from lvs_ros.pipeline.frame import StepStatus

_STAGES = ('wait', 'input', 'low', 'deviation', 'flow', 'propagation', 'classify', 'output')


def status_fields(status: StepStatus) -> dict[str, Any]:
    """Return the fields of ``lvs_ros/FrameStatus`` that are plain values, by name.

    Header and stamps are of whatever library makes the message; latency and counts are the
    caller's to tell.

    :param status: what the pipeline said of the frame
    """
    return {
        'schedule': status.schedule,
        'key_frame': status.key_frame,
        'key_age_frames': status.key_age_frames,
        'key_provisional': status.key_provisional,
        'reset_reason': status.reset_reason or '',
        'deviation': nan_if_none(status.deviation),
        'threshold': status.threshold,
        'slow_track_busy': status.slow_track_busy,
        'slow_track_ms': nan_if_none(status.slow_track_ms),
        'slow_track_failures': status.slow_track_failures,
        **{f'{stage}_ms': float(status.stage_ms.get(stage, 0.0)) for stage in _STAGES},
        'rest_ms': float(sum(duration_ms for stage, duration_ms in status.stage_ms.items()
                             if stage not in _STAGES)),
    }


def nan_if_none(value: Optional[float]) -> float:
    """Return a value as messages have it: NaN where there is none."""
    return math.nan if value is None else float(value)
