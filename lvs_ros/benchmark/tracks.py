# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The two tracks: how long a frame takes, in full and propagated, with and without S_h beside it.

Everything goes through :meth:`~lvs_ros.pipeline.SegmentationPipeline.step`, as in the node.
"""

import contextlib
import dataclasses
import itertools
import statistics
from typing import Callable, ContextManager, Iterator, Optional, Protocol, Sequence

from lvs_ros.benchmark.clip import Clip
from lvs_ros.benchmark.durations import Durations
from lvs_ros.benchmark.errors import BenchmarkError
from lvs_ros.evaluation.clock import Clock
from lvs_ros.evaluation.run import TimedStep, play
from lvs_ros.pipeline import Frame, StepResult


class Pipeline(Protocol):
    """What is needed of a :class:`~lvs_ros.pipeline.SegmentationPipeline`."""

    threshold: float
    max_key_age_frames: int

    def step(self, frame: Frame) -> StepResult:
        """Label one frame."""

    def reset(self) -> None:
        """Forget the key frame."""


OpenPipeline = Callable[[], ContextManager[Pipeline]]


@dataclasses.dataclass(frozen=True)
class Conditions:
    """Under which frames are measured.

    :param rate_hz: of the camera; None = each frame follows when the one before is done
    :param threshold: of the deviation: 1 = S_h never runs, 0 = every frame hands it a new job
    :param max_key_age_frames: a key frame at the latest after so many frames; 0 = no limit
    """

    rate_hz: Optional[float] = None
    threshold: float = 1.0
    max_key_age_frames: int = 0

    @property
    def is_contended(self) -> bool:
        """S_h runs all the time."""
        return self.threshold == 0.0

    @property
    def leading_frames(self) -> int:
        """Frames at the beginning that are not measured.

        There is nothing to propagate to the first one, it is computed in full. The second is the
        first that hands a job to S_h.
        """
        return 2 if self.is_contended else 1


ALONE = Conditions()


@dataclasses.dataclass(frozen=True)
class Play:
    """Consecutive frames, from the first one of all on, and what became of each."""

    frames: list[Frame]
    steps: list[TimedStep]


@dataclasses.dataclass(frozen=True)
class Track:
    """Frames that were measured under the same conditions.

    :param step_ms: of the pipeline's step, waiting for the cores included
    :param latency_ms: from arrival to mask, waiting for earlier frames included; None where
        each frame followed when the one before was done
    :param stages_ms: median of each stage that the pipeline tells
    :param key_frames: how many of the frames became key frames
    :param slow_ms: of each S_h that finished meanwhile, start to end
    :param slow_paused: S_h stood idle at some time
    :param kept_up: no frame came while an earlier one was still waiting to be begun; None where
        ``latency_ms`` is
    """

    step_ms: Durations
    latency_ms: Optional[Durations]
    stages_ms: dict[str, float]
    key_frames: int
    slow_ms: tuple[float, ...]
    slow_paused: bool
    kept_up: Optional[bool]


class TrackMeter:
    """Measures a track, some frames at a time, each time with a pipeline of its own.

    Only one pipeline is open at a time, as in the node: threads of another one, even if they have
    nothing to do, would be in its way.

    :param open_pipeline: makes the pipeline, warmed up; it is closed after use
    :param warm_up_frames: so many frames come before those that are measured, besides
    """

    def __init__(self, open_pipeline: OpenPipeline, conditions: Conditions, *, clip: Clip,
                 clock: Clock, warm_up_frames: int = 0) -> None:
        self.conditions = conditions
        self._open_pipeline, self._warm_up_frames = open_pipeline, warm_up_frames
        self._clip, self._clock = clip, clock
        self._plays: list[Play] = []

    def measure(self, count: int, progress: Callable[[], object]) -> None:
        """Measure so many frames.

        :param progress: called after each
        """
        leading = self.conditions.leading_frames
        played = itertools.count()
        with self._open() as pipeline:
            if self._warm_up_frames:
                self._play(pipeline, self._warm_up_frames, lambda: None)
            self._plays.append(self._play(
                pipeline, count + leading, lambda: next(played) >= leading and progress()))

    def try_out(self) -> TimedStep:
        """Return a usual step; it is not among the measured ones."""
        with self._open() as pipeline:
            steps = self._play(pipeline, 1 + max(1, self._warm_up_frames), lambda: None).steps[1:]
        return sorted(steps, key=lambda step: step.compute_ms)[len(steps) // 2]

    def track(self) -> Track:
        """Return what was measured.

        :raises BenchmarkError: when it was something else than was asked for.
        """
        statuses = [step.status for one in self._plays for step in one.steps[1:]]
        if self.conditions == dataclasses.replace(ALONE, rate_hz=self.conditions.rate_hz) and any(
                status.key_frame and status.schedule != 'every_frame' for status in statuses):
            raise BenchmarkError(
                'propagated frames became key frames at threshold 1: their deviation is no '
                'number. Features overflow at this precision; choose --precision float32')
        return track_of(self._plays, self.conditions)

    @contextlib.contextmanager
    def _open(self) -> Iterator[Pipeline]:
        with self._open_pipeline() as pipeline:
            pipeline.threshold = self.conditions.threshold
            pipeline.max_key_age_frames = self.conditions.max_key_age_frames
            yield pipeline

    def _play(self, pipeline: Pipeline, count: int, progress: Callable[[], object]) -> Play:
        pipeline.reset()
        frames = self._clip.frames(count, rate_hz=self.conditions.rate_hz)
        steps = play(pipeline, frames, self._clock, progress=progress)
        _check(steps)
        return Play(frames, steps)


def track_of(plays: Sequence[Play], conditions: Conditions) -> Track:
    """Summarise the measured frames of all plays."""
    measured = [step for one in plays for step in one.steps[conditions.leading_frames:]]
    at_rate = conditions.rate_hz is not None
    slow_ms = tuple(duration for one in plays for duration in _slow_durations(one.steps))
    return Track(
        step_ms=Durations.of([step.compute_ms for step in measured]),
        latency_ms=Durations.of([step.latency_ms for step in measured]) if at_rate else None,
        stages_ms={stage: statistics.median(step.status.stage_ms[stage]
                                            for step in measured)
                   for stage in measured[0].status.stage_ms},
        key_frames=sum(step.status.key_frame for step in measured),
        slow_ms=slow_ms,
        slow_paused=any(_was_idle(one, at_rate=at_rate) for one in plays),
        kept_up=all(_kept_up(one) for one in plays) if at_rate else None)


def _check(steps: Sequence[TimedStep]) -> None:
    for step in steps:
        if step.status.slow_track_error is not None:
            raise BenchmarkError(f'S_h failed: {step.status.slow_track_error}; choose a '
                                 'smaller --size or another --device')


def _slow_durations(steps: Sequence[TimedStep]) -> tuple[float, ...]:
    # The pipeline tells that of the last one that finished. The first is the first frame's own.
    told = [step.status.slow_track_ms for step in steps]
    return tuple(now for before, now in zip(told, told[1:]) if now is not None and now != before)


def _was_idle(one: Play, *, at_rate: bool) -> bool:
    """Tell whether S_h ever waited for a frame: whether it was done before the next one came."""
    if not all(step.status.key_frame for step in one.steps):
        return True
    # None has finished: the first one ran all the time.
    fastest_ms = min(_slow_durations(one.steps), default=None)
    return fastest_ms is not None and fastest_ms < _longest_interval_ms(one, at_rate=at_rate)


def _longest_interval_ms(one: Play, *, at_rate: bool) -> float:
    """Return the longest time from the end of a frame to the end of the next."""
    if not at_rate:
        return max(step.compute_ms for step in one.steps[1:])
    ends_ms = [frame.stamp_ns / 1e6 + step.latency_ms
               for frame, step in zip(one.frames[1:], one.steps[1:])]
    return max((late - early for early, late in zip(ends_ms, ends_ms[1:])), default=0.0)


def _kept_up(one: Play) -> bool:
    """Tell whether a queue of one frame would have lost none."""
    arrivals_ms = [frame.stamp_ns / 1e6 for frame in one.frames[1:]]
    starts_ms = [arrival + step.latency_ms - step.compute_ms
                 for arrival, step in zip(arrivals_ms, one.steps[1:])]
    return all(start <= following for start, following in zip(starts_ms, arrivals_ms[1:]))
