# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The stages of a frame that the pipeline tells, for people."""

from typing import Mapping

from lvs_ros.benchmark.rows import ALONE, CONTENDED, FULL, RowResult

STAGE_TITLES = {
    'wait': 'waiting for the cores', 'input': 'image to tensor', 'low': 'S_l',
    'flow': 'optical flow', 'slow_track': 'taking the result of S_h',
    'deviation': 'deviation net', 'propagation': 'propagation (S_h in full)',
    'classify': 'classifier', 'output': 'upsample and argmax', 'rest': 'all else'}
"""What to call the stages that are known here; others go by their own names."""

SHOWN_ROWS = {
    FULL[0]: 'full network', CONTENDED[1]: 'fast track\nbeside S_h,\nback to back',
    CONTENDED[0]: 'fast track\nbeside S_h,\n{rate}', ALONE: 'fast track\nalone'}
"""The rows whose stages are shown, with short titles, the longest first."""


def stages_of(rows: Mapping[str, RowResult]) -> list[str]:
    """Return all stages of :data:`SHOWN_ROWS`, in the pipeline's order."""
    return list(dict.fromkeys(stage for name in reversed(SHOWN_ROWS)
                              for stage in rows[name].stage_ms))
