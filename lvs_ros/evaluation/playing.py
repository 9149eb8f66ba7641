# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Feeds a drive to a pipeline as a camera would, and times every step."""

import dataclasses
from typing import Callable, Optional, Protocol, Sequence

import numpy as np

from lvs_ros.evaluation.clock import Clock
from lvs_ros.evaluation.dataset import LoadedDrive
from lvs_ros.evaluation.rows import Row
from lvs_ros.evaluation.streaming import (StatedClock, StatedDurations, StatedPipeline,
                                          newest_outputs)
from lvs_ros.pipeline.frame import Frame, StepResult, StepStatus
from lvs_ros.pipeline.pipeline import SegmentationPipeline
from lvs_ros.program_settings import uncollected


@dataclasses.dataclass(frozen=True)
class TimedStep:
    """A step of the pipeline.

    :param index: number of its frame in the drive, from 0
    :param latency_ms: from the frame's arrival to its mask, waiting for the frames before it
        included; to the forecast, of rows that look ahead
    :param compute_ms: of the pipeline step alone; and of the forecast
    """

    index: int
    status: StepStatus
    latency_ms: float
    compute_ms: float


Finish = Callable[[int, Frame, StepResult], None]    # with the number of the frame


class Steps(Protocol):
    """The part of a pipeline that :func:`play` calls."""

    def step(self, frame: Frame) -> StepResult:
        """Label one frame."""


def stream(pipeline: SegmentationPipeline, row: Row, drive: LoadedDrive, clock: Clock,
           stated: Optional[StatedDurations], *, masks: np.ndarray,
           forecasts: Optional[np.ndarray]) -> list[TimedStep]:
    """Run a drive; the newest frame wins, so not every frame is labelled.

    :param clock: for real time
    :param stated: how long frames take; None = as long as they take
    :param masks: (frames, H, W) uint8, which the masks are copied to
    :param forecasts: the same for the masks moved ahead; None = they are not
    """
    pipeline.reset()
    steps: Steps = pipeline
    if stated is not None:
        clock = StatedClock()
        steps = StatedPipeline(pipeline, stated, clock, small_share=row.small_share)
    with uncollected():
        return play(steps, drive.frames, clock, newest_only=True, masks=masks, finish=None
                    if forecasts is None else looking_ahead(pipeline, forecasts))


def looking_ahead(pipeline: SegmentationPipeline, forecasts: np.ndarray) -> Finish:
    """Return what moves each mask ahead, and copies it.

    :param forecasts: (frames, H, W) uint8
    """
    def finish(number: int, frame: Frame, result: StepResult) -> None:
        forecasts[number] = pipeline.forecast(frame, result).mask

    return finish


def with_durations(frames: Sequence[Frame], steps: Sequence[TimedStep],
                   durations_s: Sequence[float]) -> list[TimedStep]:
    """Return steps as if each had taken such a time, and waited for the one before it."""
    found: list[TimedStep] = []
    free_s = 0.0
    for step, duration_s in zip(steps, durations_s):
        arrival_s = since_first_s(frames, step.index)
        done_s = max(arrival_s, free_s) + duration_s
        if step.index:    # the camera runs from the first mask on
            free_s = done_s
        found.append(dataclasses.replace(step, latency_ms=(done_s - arrival_s) * 1e3,
                                         compute_ms=duration_s * 1e3))
    return found


def any_overtaken(frames: Sequence[Frame], steps: Sequence[TimedStep]) -> bool:
    """Tell whether a frame waited until a newer one was there."""
    return any((step.latency_ms - step.compute_ms) / 1e3 >=
               since_first_s(frames, step.index + 1) - since_first_s(frames, step.index)
               for step in steps[1:-1])


def newest_of(frames: Sequence[Frame], steps: Sequence[TimedStep]) -> list[Optional[int]]:
    """Return :func:`~lvs_ros.evaluation.streaming.newest_outputs` of the frames."""
    stamps_s = [since_first_s(frames, number) for number in range(len(frames))]
    return newest_outputs(stamps_s, [
        (step.index, stamps_s[step.index] + step.latency_ms / 1e3) for step in steps])


def since_first_s(frames: Sequence[Frame], number: int) -> float:
    """Return the stamp of a frame from that of the first on, in seconds."""
    return (frames[number].stamp_ns - frames[0].stamp_ns) / 1e9


def play(pipeline: Steps, frames: Sequence[Frame], clock: Clock, *,
         masks: Optional[np.ndarray] = None, finish: Optional[Finish] = None,
         newest_only: bool = False, leave_out_slow_track: bool = False,
         progress: Callable[[], object] = lambda: None) -> list[TimedStep]:
    """Let the frames of a drive arrive at their stamps; each waits for the one before it.

    The first frame is where the drive starts from: there is nothing to propagate to it, every
    row computes it in full. The camera runs from its mask on, so that no other frame waits for
    it.

    :param masks: (frames, H, W) uint8, which the masks are copied to. Kept as they are, they would
        lie between what the steps need for a while: the process would grow with every frame, and
        the frames would wait for the memory.
    :param finish: done with the result of each frame, in the time of its step
    :param newest_only: a frame that waits is given up when the next one arrives
    :param leave_out_slow_track: S_h and its refinement run within the steps, in place of a
        background; take their durations out of those of the steps
    :param progress: called after each frame
    """
    steps: list[TimedStep] = []
    begin_s = 0.0
    number = 0
    while number < len(frames):
        frame = frames[number]
        arrival_s = begin_s + since_first_s(frames, number) if steps else clock.now()
        clock.sleep_until(arrival_s)
        started_s = clock.now()
        result = pipeline.step(frame)
        if leave_out_slow_track:
            clock.leave_out(result.status.stage_ms['slow_track'] / 1e3)
        if finish is not None:
            finish(number, frame, result)
        ended_s = clock.now()
        if not steps:
            begin_s = ended_s
        steps.append(TimedStep(number, result.status, (ended_s - arrival_s) * 1e3,
                               (ended_s - started_s) * 1e3))
        if masks is not None:
            masks[number] = result.mask
        del result    # so that the next step can reuse its memory
        progress()
        number += 1
        while newest_only and number + 1 < len(frames) and (
                begin_s + since_first_s(frames, number + 1) <= ended_s):
            number += 1
    return steps
