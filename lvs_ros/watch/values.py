# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the node says, as the page shows it: plain values, ready for JSON.

JSON has no NaN and no infinity; None stands for what is not known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lvs_ros.labels import LabelSet

GONE = 'GONE'
"""Level of a node that is not heard of; the others are those of diagnostic_msgs."""

_DIGITS = 6    # more than a float32 has


def finite(value: float | None) -> float | None:
    """Return a number that JSON can hold, or None."""
    return round(value, _DIGITS) if value is not None and math.isfinite(value) else None


def frame_value(status: Any, time_s: float) -> dict[str, Any]:
    """Describe a frame.

    :param status: an ``lvs_ros/FrameStatus``.
    :param time_s: when it came, on a clock that never jumps.
    """
    return {'time_s': round(time_s, 4), 'deviation': finite(status.deviation),
            'threshold': finite(status.threshold), 'key_frame': status.key_frame,
            'schedule': status.schedule, 'busy': status.slow_track_busy,
            'latency_ms': finite(status.latency_ms)}


def condition_value(level: str, message: str, values: Mapping[str, str]) -> dict[str, Any]:
    """Describe the condition of a node by its diagnostics.

    :param level: OK, WARN, ERROR, STALE or :data:`GONE`.
    :param values: key and text of each value on /diagnostics.
    """
    return {
        'level': level, 'message': message,
        'window_s': _number(values, 'window (s)'),
        'latency_ms': {name: _number(values, f'latency {name} (ms)')
                       for name in ('p50', 'p99', 'max')},
        'rate_in_hz': _number(values, 'rate in (Hz)'),
        'rate_out_hz': _number(values, 'rate out (Hz)'),
        'received': _number(values, 'frames received'),
        'dropped': _number(values, 'frames dropped'),
        'drops': {'lost or overtaken': _number(values, 'frames lost before the node'),
                  'malformed': _number(values, 'malformed images'),
                  'failed': _number(values, 'frames failed')},
        'slow_track_ms': _number(values, 'slow track duration (ms)'),
        'values': [[key, text] for key, text in values.items()]}


def settings_value(threshold: float, schedule: str, label_set: LabelSet | None,
                   problem: str = '') -> dict[str, Any]:
    """Describe how a node is set.

    :param label_set: of its masks; None = not known here.
    :param problem: why it is not known.
    """
    classes: Sequence[tuple[str, Sequence[int]]] = [] if label_set is None else list(
        zip(label_set.names, label_set.colours))
    return {'threshold': finite(threshold), 'schedule': schedule, 'classes_problem': problem,
            'classes': [{'name': name, 'colour': '#{:02x}{:02x}{:02x}'.format(*colour)}
                        for name, colour in classes]}


def _number(values: Mapping[str, str], key: str) -> float | None:
    try:
        return finite(float(values[key]))
    except (KeyError, ValueError):    # it says n/a
        return None
