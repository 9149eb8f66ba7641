# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The rows of a benchmark: under which conditions frames are measured.

A computer is not equally fast at all times, for heat or for other programs. So each row is
measured in a few parts, with all other rows in between, and all meet the same times. Everything
goes through :meth:`~lvs_ros.pipeline.pipeline.SegmentationPipeline.step`, as in the node.
"""

import collections
import dataclasses
from typing import Any, Callable, ContextManager, Mapping, Optional, Sequence

import numpy as np

from lvs_ros.benchmark.busy_executor import BusyExecutor
from lvs_ros.benchmark.clip import clip_frames
from lvs_ros.benchmark.durations import Durations
from lvs_ros.benchmark.errors import BenchmarkError
from lvs_ros.benchmark.plan import Plan
from lvs_ros.benchmark.progress import progress
from lvs_ros.evaluation.clock import Clock
from lvs_ros.evaluation.playing import TimedStep, play
from lvs_ros.pipeline.pipeline import SegmentationPipeline

PARTS = 3
# There is nothing to propagate to the first frame; the second is the first that starts S_h.
_LEADING_FRAMES = 3


@dataclasses.dataclass(frozen=True)
class Row:
    """Conditions under which frames are measured.

    :param title: for people, with ``{rate}`` where the camera's belongs
    :param at_rate: frames come at the camera's rate; False = each when the one before is done
    :param threshold: of the deviation: 1 = S_h never runs, 0 = every frame hands it a new job, and
        it begins again until then; None = as configured
    :param times: as many frames as the other rows, so many times. Where frames never pause, S_h
        has a tenth of the time: fewer would not see it end
    """

    title: str
    at_rate: bool = False
    threshold: Optional[float] = None
    times: int = 1


ALONE = 'fast_alone'
CONTENDED = ('fast_contended', 'fast_contended_back_to_back')
FULL = ('full', 'full_flip_averaging')

PIPELINES: tuple[tuple[dict[str, Any], dict[str, Row]], ...] = (
    ({'schedule': 'every_frame', 'flip_averaging': False},
     {'full': Row('full network')}),
    ({'schedule': 'every_frame', 'flip_averaging': True},
     {'full_flip_averaging': Row('full network with flip averaging')}),
    ({'schedule': 'low_latency'},
     {'fast_alone': Row('fast track alone, back to back', threshold=1.0),
      'fast_alone_at_rate': Row('fast track alone, {rate}', at_rate=True, threshold=1.0),
      'fast_contended': Row('fast track while S_h runs, {rate}', at_rate=True, threshold=0.0),
      'fast_contended_back_to_back': Row('fast track while S_h runs, back to back',
                                         threshold=0.0, times=3),
      'at_rate': Row('fast track as configured, {rate}', at_rate=True)}))
"""The options of each pipeline, and the rows that are measured with it, by name."""

ROWS = {name: row for _, rows in PIPELINES for name, row in rows.items()}


@dataclasses.dataclass(frozen=True)
class RowResult:
    """What was measured of a row.

    :param execution: how frames and S_h shared the device
    :param fallbacks: what was computed in a slower way than it should be, and why
    :param step_ms: of the pipeline's steps, waiting for the cores included
    :param stage_ms: median of each stage, in the pipeline's order; NaN = not known
    :param slow_ms: of each S_h that ended meanwhile, from start to end; None where none did
    :param slow_runs_per_s: S_h's throughput: ends a second, in the foreground of its own time
    """

    execution: str
    fallbacks: Sequence[str]
    step_ms: Durations
    stage_ms: dict[str, float]
    slow_ms: Optional[Durations]
    slow_runs_per_s: Optional[float]


@dataclasses.dataclass(frozen=True)
class _Play:
    """Some frames of a row.

    :param slow_runs_per_s: ends of S_h; None where it is not in the background
    """

    steps: Sequence[TimedStep]
    slow_runs_per_s: Optional[float]


OpenPipeline = Callable[[Mapping[str, Any]], ContextManager[SegmentationPipeline]]


def measure_rows(open_pipeline: OpenPipeline, plan: Plan, clip: Sequence[np.ndarray],
                 clock: Clock) -> dict[str, RowResult]:
    """Measure every row.

    :param open_pipeline: makes a pipeline with these changes of the options, warmed up, and closes
        it after use. Only one is open at a time, as in the node: the threads of another one would
        be in its way even if they had nothing to do.
    :param clip: consecutive images, (H, W, 3) uint8 RGB, at least two
    :return: what was measured, by the row's name
    :raises BenchmarkError: when S_h fails
    """
    plays: dict[str, list[_Play]] = collections.defaultdict(list)
    conditions: dict[str, tuple[str, Sequence[str]]] = {}
    with progress('measuring', PARTS * len(ROWS)) as update:
        for part in range(PARTS):
            for changes, rows in PIPELINES:
                with open_pipeline(changes) as pipeline:
                    for name, row in rows.items():
                        count = share(row.times * plan.frames, part, PARTS)
                        plays[name].append(_play(pipeline, row, count, plan, clip, clock))
                        conditions[name] = (pipeline.executor.description,
                                            pipeline.fallbacks)
                        update()
    return {name: _summary(*conditions[name], plays[name]) for name in ROWS}


def share(count: int, part: int, parts: int) -> int:
    """Return how many of ``count`` belong to one of several parts."""
    return count * (part + 1) // parts - count * part // parts


def _play(pipeline: SegmentationPipeline, row: Row, count: int, plan: Plan,
          clip: Sequence[np.ndarray], clock: Clock) -> _Play:
    """Return the steps of some frames, which follow those that are not measured."""
    pipeline.reset()
    busy = pipeline.executor if isinstance(pipeline.executor, BusyExecutor) else None
    if busy is not None:
        busy.repeats, busy.runs = row.threshold == 0.0, 0
    begin_s = clock.now()
    pipeline.change(
        threshold=plan.options.threshold if row.threshold is None else row.threshold,
        max_key_age_frames=plan.options.max_key_age_frames if row.threshold is None else 0)
    frames = clip_frames(clip, _LEADING_FRAMES + count,
                         rate_hz=plan.rate_hz if row.at_rate else None)
    steps = play(pipeline, frames, clock)
    for step in steps:
        if step.status.slow_track_error is not None:
            raise BenchmarkError(f'S_h failed: {step.status.slow_track_error}; choose a smaller '
                                 '--size or another --device')
    return _Play(steps, None if busy is None else busy.runs / (clock.now() - begin_s))


def _summary(execution: str, fallbacks: Sequence[str], plays: Sequence[_Play]) -> RowResult:
    measured = [step for part in plays for step in part.steps[_LEADING_FRAMES:]]
    stages_ms = [step.status.stage_ms for step in measured]
    slow_ms = [duration_ms for part in plays
               for duration_ms in _slow_durations(part.steps[_LEADING_FRAMES - 1:])]
    rates = [part.slow_runs_per_s for part in plays if part.slow_runs_per_s is not None]
    return RowResult(
        execution=execution, fallbacks=fallbacks,
        step_ms=Durations.of([step.compute_ms for step in measured]),
        stage_ms={stage: float(np.median([told.get(stage, np.nan) for told in stages_ms]))
                  for stage in dict.fromkeys(name for told in stages_ms for name in told)},
        slow_ms=Durations.of(slow_ms) if slow_ms else None,
        slow_runs_per_s=None if not slow_ms else float(np.mean(rates)) if rates
        else 1e3 / float(np.mean(slow_ms)))


def _slow_durations(steps: Sequence[TimedStep]) -> list[float]:
    """Return the duration of each S_h that ended after the first of the frames, milliseconds.

    The pipeline tells with each frame that of the last one that ended.
    """
    told = [step.status.slow_track_ms for step in steps]
    return [now for before, now in zip(told, told[1:]) if now is not None and now != before]
