# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The two tracks: how long a frame takes, in full and propagated, with and without S_h beside it.

Everything goes through :meth:`~lvs_ros.pipeline.SegmentationPipeline.step`, as in the node.
"""

import dataclasses
import itertools
import statistics
from typing import Callable, Optional, Protocol, Sequence

import cv2
import torch

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
class Threads:
    """CPU threads that a pipeline has chosen for its frames, to be chosen again before others.

    :param torch: of torch
    :param opencv: of OpenCV
    """

    torch: int
    opencv: int

    @classmethod
    def now(cls) -> 'Threads':
        """Return those in force: a pipeline that is built sets them."""
        return cls(torch.get_num_threads(), cv2.getNumThreads())

    def restore(self) -> None:
        """Set them."""
        torch.set_num_threads(self.torch)
        cv2.setNumThreads(self.opencv)


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
    """Measures a track, some frames at a time.

    :param pipeline: warmed up; may serve several meters
    :param threads: that the pipeline has chosen
    """

    def __init__(self, pipeline: Pipeline, conditions: Conditions, *, clip: Clip, clock: Clock,
                 threads: Threads) -> None:
        self.conditions = conditions
        self._pipeline = pipeline
        self._clip, self._clock, self._threads = clip, clock, threads
        self._plays: list[Play] = []

    def warm_up(self, frames: int) -> TimedStep:
        """Take what first calls cost in both threads; return a usual step."""
        steps = self._play(frames + 1, rate_hz=None, progress=lambda: None).steps[1:]
        return sorted(steps, key=lambda step: step.compute_ms)[len(steps) // 2]

    def measure(self, count: int, progress: Callable[[], object]) -> None:
        """Measure so many frames; S_h is idle afterwards.

        :param progress: called after each
        """
        leading = self.conditions.leading_frames
        played = itertools.count()
        self._plays.append(self._play(
            count + leading, rate_hz=self.conditions.rate_hz,
            progress=lambda: next(played) >= leading and progress()))

    def track(self) -> Track:
        """Return what was measured.

        :raises BenchmarkError: when it was something else than was asked for.
        """
        statuses = [step.result.status for one in self._plays for step in one.steps[1:]]
        if self.conditions == dataclasses.replace(ALONE, rate_hz=self.conditions.rate_hz) and any(
                status.key_frame and status.schedule != 'every_frame' for status in statuses):
            raise BenchmarkError(
                'propagated frames became key frames at threshold 1: their deviation is no '
                'number. Features overflow at this precision; choose --precision float32')
        return track_of(self._plays, self.conditions)

    def _play(self, count: int, *, rate_hz: Optional[float], progress: Callable[[], object]
              ) -> Play:
        self._threads.restore()
        self._pipeline.threshold = self.conditions.threshold
        self._pipeline.max_key_age_frames = self.conditions.max_key_age_frames
        self._pipeline.reset()
        frames = self._clip.frames(count, rate_hz=rate_hz)
        steps = play(self._pipeline, frames, self._clock, progress=progress)
        self._pipeline.reset()
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
        stages_ms={stage: statistics.median(step.result.status.stage_ms[stage]
                                            for step in measured)
                   for stage in measured[0].result.status.stage_ms},
        key_frames=sum(step.result.status.key_frame for step in measured),
        slow_ms=slow_ms,
        slow_paused=any(_was_idle(one, at_rate=at_rate) for one in plays),
        kept_up=all(_kept_up(one) for one in plays) if at_rate else None)


def _check(steps: Sequence[TimedStep]) -> None:
    for step in steps:
        if step.result.status.slow_track_error is not None:
            raise BenchmarkError(f'S_h failed: {step.result.status.slow_track_error}; choose a '
                                 'smaller --size or another --device')


def _slow_durations(steps: Sequence[TimedStep]) -> tuple[float, ...]:
    # The pipeline tells that of the last one that finished. The first is the first frame's own.
    told = [step.result.status.slow_track_ms for step in steps]
    return tuple(now for before, now in zip(told, told[1:]) if now is not None and now != before)


def _was_idle(one: Play, *, at_rate: bool) -> bool:
    """Tell whether S_h ever waited for a frame: whether it was done before the next one came."""
    if not all(step.result.status.key_frame for step in one.steps):
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
