# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The node's condition as a message for /diagnostics."""

from __future__ import annotations

import math
import os
import sys
from typing import Any, Mapping

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from lvs_ros.errors import cut
from lvs_ros.node.diagnostics import Level, Summary, Totals
from lvs_ros.pipeline.frame import StepStatus

_MEBIBYTE = 1 << 20


def diagnostic_array(stamp: Time, *, node: str, level: Level, message: str,
                     values: Mapping[str, Any]) -> DiagnosticArray:
    """Wrap one status as diagnostic_aggregator and rqt_robot_monitor expect it.

    :param node: fully qualified name of the node.
    :param values: shown one a line, in this order.
    """
    name = node.lstrip('/')
    status = DiagnosticStatus(
        level=bytes([level]), name=f'{name}: segmentation', message=cut(message, 3000),
        hardware_id=name,
        values=[KeyValue(key=key, value=_text(value)) for key, value in values.items()])
    array = DiagnosticArray(status=[status])
    array.header.stamp = stamp
    return array


def stream_values(summary: Summary, totals: Totals, *, window_s: float,
                  losses_known: bool) -> dict[str, Any]:
    """Return rates, latencies and counts."""
    lost = totals.lost if losses_known else 'not known (the middleware numbers no messages)'
    return {
        'window (s)': window_s,
        'rate in (Hz)': summary.rate_in_hz,
        'rate out (Hz)': summary.rate_out_hz,
        **{f'latency {name} (ms)': value for name, value in summary.latency_ms.items()},
        **{f'processing {name} (ms)': value for name, value in summary.processing_ms.items()},
        'frames received': totals.received,
        'masks published': totals.published,
        'frames dropped': totals.dropped,
        'frames lost before the node': lost,
        'malformed images': totals.malformed,
        'frames failed': totals.failed,
        'images left out (paused)': totals.paused,
        'stale masks in window': summary.stale,
        'key frames in window': summary.key_frames,
    }


def status_values(status: StepStatus | None) -> dict[str, Any]:
    """Return the state of the schedule and the slow track at the last frame."""
    if status is None:
        return {}
    return {
        'schedule': status.schedule,
        'threshold': status.threshold,
        'deviation': math.nan if status.deviation is None else status.deviation,
        'key frame age (frames)': status.key_age_frames,
        'slow track busy': status.slow_track_busy,
        'slow track duration (ms)': status.slow_track_ms,
        'slow track failures': status.slow_track_failures,
        'slow track error': status.slow_track_error or '',
    }


def memory_values(device: str) -> dict[str, Any]:
    """Return the memory of this process, and of its tensors on a GPU, in MiB."""
    values: dict[str, Any] = {}
    try:
        with open('/proc/self/statm', encoding='ascii') as statm:
            pages = int(statm.read().split()[1])
        values['memory (MiB)'] = pages * os.sysconf('SC_PAGE_SIZE') / _MEBIBYTE
    except (OSError, ValueError, IndexError):  # no Linux
        pass
    # The pipeline has loaded torch if it runs on a GPU; this module needs it for nothing else.
    torch = sys.modules.get('torch')
    if device.startswith('cuda') and torch is not None:
        values['GPU memory (MiB)'] = torch.cuda.memory_allocated(device) / _MEBIBYTE
    return values


def _text(value: Any) -> str:
    if value is None or isinstance(value, float) and math.isnan(value):
        return 'n/a'
    if isinstance(value, float):
        return f'{value:.3f}' if abs(value) < 10 else f'{value:.1f}'
    return cut(str(value))
