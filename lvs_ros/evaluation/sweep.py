# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The curves: accuracy against key-frame rate and time, and against what the network takes."""

import dataclasses
from typing import Iterator, Optional, Sequence

import numpy as np

from lvs_ros.evaluation.bootstrap import standard_error
from lvs_ros.evaluation.rows import FORECAST, ROWS
from lvs_ros.evaluation.run import REFERENCE, Runner
from lvs_ros.evaluation.summary import RowSummary, Summariser

THRESHOLDS = (0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3)
INTERVALS = (2, 3, 4, 5, 7, 10, 15)
DURATIONS_S = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
ADAPTIVE, FIXED, LOW_LATENCY = 'adaptive', 'fixed', 'low_latency'


@dataclasses.dataclass(frozen=True)
class CurvePoint:
    """One run of a sweep.

    :param setting: threshold, or interval in frames
    :param resampled: mIoU of each resample, (count,); None = too few frames for any
    """

    setting: float
    row: RowSummary
    resampled: Optional[np.ndarray]


@dataclasses.dataclass(frozen=True)
class EqualRate:
    """The adaptive schedule against the fixed one at the same key-frame rate; 0..1.

    :param fixed_miou: between the two fixed schedules whose rates lie around; None = none of them
        has so few key frames
    """

    threshold: float
    key_rate: float
    adaptive_miou: float
    fixed_miou: Optional[float]
    difference: Optional[float]
    difference_se: Optional[float]


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Curves by the name of their row."""

    curves: dict[str, list[CurvePoint]]
    equal_rate: list[EqualRate]


def sweep_threshold(runner: Runner, summariser: Summariser, *,
                    thresholds: Sequence[float] = THRESHOLDS) -> Iterator[Sweep]:
    """Run adaptive and low-latency at each threshold, and fixed at each interval.

    :return: what there is, after each run
    :raises ConfigurationError: for a threshold that is none.
    """
    def point(name: str, setting: float, **changes: float) -> CurvePoint:
        run = runner.run(name, **changes)
        return CurvePoint(setting, summariser.summarise(run), summariser.resampled(run))

    # the fixed schedule with an interval of one frame is the per-frame network
    curves = {ADAPTIVE: [], LOW_LATENCY: [], FIXED: [point(REFERENCE, 1)]}
    for interval in INTERVALS:    # first: the adaptive ones are compared with them
        curves[FIXED].append(point(FIXED, interval, fixed_interval=interval))
        yield Sweep(curves, [])
    for value in thresholds:
        for name in (ADAPTIVE, LOW_LATENCY):
            curves[name].append(point(name, value, threshold=value))
            yield Sweep(curves, [at_equal_rate(adaptive, curves[FIXED])
                                 for adaptive in curves[ADAPTIVE]])


def at_equal_rate(adaptive: CurvePoint, fixed: Sequence[CurvePoint]) -> EqualRate:
    """Compare with the fixed schedule's curve, linear between its points."""
    rate, points = adaptive.row.key_rate, sorted(fixed, key=lambda point: point.row.key_rate)
    rates = [point.row.key_rate for point in points]
    if not rates[0] <= rate <= rates[-1]:
        return EqualRate(adaptive.setting, rate, adaptive.row.miou, None, None, None)
    weights = np.array([np.interp(rate, rates, unit) for unit in np.eye(len(points))])
    fixed_miou = float(weights @ [point.row.miou for point in points])
    resampled = [point.resampled for point in points]
    error = None if adaptive.resampled is None else standard_error(
        adaptive.resampled - weights @ np.array(resampled))
    return EqualRate(adaptive.setting, rate, adaptive.row.miou, fixed_miou,
                     adaptive.row.miou - fixed_miou, error)


def sweep_duration(runner: Runner, rows: Sequence[str], durations_s: Sequence[float]
                   ) -> Iterator[dict[str, list[float]]]:
    """Find the streaming mIoU over the duration of the full network, by the name of the row.

    :param rows: each is run once for all rows of its pipeline, looking ahead or not
    :return: what there is, after each row
    :param durations_s: of the full network, in seconds
    """
    curves: dict[str, list[float]] = {}
    for name in rows:
        for duration_s in durations_s:
            as_it_is, ahead = runner.streaming_miou(name, duration_s)
            curves.setdefault(name, []).append(as_it_is)
            if f'{name}{FORECAST}' in ROWS:
                curves.setdefault(f'{name}{FORECAST}', []).append(ahead)
        yield curves
