# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Runs a row over the drives, as a camera would feed it, and scores its masks afterwards.

While the frames are timed nothing is read, decoded or scored. Every frame is labelled, however
long it waits. Where the newest frame, which wins in the node, would overtake another, the drive is
run once more like that, for the streaming accuracy.
"""

import dataclasses
from typing import Any, Callable, Mapping, Optional, Protocol, Sequence

import numpy as np
from tqdm import tqdm

from lvs_ros.evaluation.clock import Clock
from lvs_ros.evaluation.dataset import Dataset, LoadedDrive
from lvs_ros.evaluation.metrics import confusion_of, miou
from lvs_ros.evaluation.rows import ROWS, Row, build_row
from lvs_ros.evaluation.streaming import (FULL_PER_SLOW, StatedClock, StatedDurations,
                                          StatedPipeline, newest_outputs)
from lvs_ros.labels import UNLABELLED
from lvs_ros.options import PipelineOptions
from lvs_ros.packed_mask import pack, unpack
from lvs_ros.pipeline.frame import Frame, StepResult, StepStatus
from lvs_ros.pipeline.pipeline import SegmentationPipeline
from lvs_ros.program_settings import uncollected

REFERENCE = 'per_frame'
"""The row that every other one is compared with."""

_WARM_UP_FRAMES = 5


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


@dataclasses.dataclass(frozen=True)
class FrameResult(TimedStep):
    """The result of one frame.

    :param drive: number of its drive, from 0
    :param confusion: (classes, classes), labels against mask; None of an unlabelled frame
    :param agreement: (classes, classes), the per-frame network's mask against this one
    :param packed_mask: the mask, see :func:`lvs_ros.packed_mask.unpack`
    :param newest: number of the frame whose output is the newest when this one arrives; None of
        the first frame of a drive
    :param streaming: (classes, classes), labels against that output; None where there is none
    """

    drive: int
    stamp_ns: int
    confusion: Optional[np.ndarray]
    agreement: np.ndarray
    packed_mask: bytes
    newest: Optional[int]
    streaming: Optional[np.ndarray]


@dataclasses.dataclass(frozen=True)
class RowRun:
    """The run of a row over all drives.

    :param settings: what distinguishes it from another run of the same row
    :param threads: CPU threads of the fast track
    :param device: where it ran, as torch names it
    :param outputs: how many frames were labelled where the newest frame wins
    """

    name: str
    title: str
    settings: Mapping[str, Any]
    threads: int
    device: str
    frames: tuple[FrameResult, ...]
    outputs: int


Finish = Callable[[int, Frame, StepResult], None]    # with the number of the frame


class Steps(Protocol):
    """The part of a pipeline that :func:`play` calls."""

    def step(self, frame: Frame) -> StepResult:
        """Label one frame."""


class Runner:
    """Runs rows over the same drives.

    :param options: of all rows
    :param slow_delay_s: simulated duration of S_h, the same on every machine; None = its result
        enters when it is really done, which needs a real clock
    :param full_s: simulated duration of the full network, for the streaming accuracy; None = as
        long as S_h takes, times :data:`~lvs_ros.evaluation.streaming.FULL_PER_SLOW`
    """

    def __init__(self, dataset: Dataset, options: PipelineOptions, clock: Clock,
                 slow_delay_s: Optional[float] = None, full_s: Optional[float] = None) -> None:
        self._dataset = dataset
        self._options = options
        self._slow_delay_s = slow_delay_s
        self._full_s = full_s
        self._clock = clock
        self.reference = self._run(REFERENCE, options, None)    # the per-frame network's run

    def run(self, name: str, **changes: Any) -> RowRun:
        """Run one row.

        :param name: one of :data:`~lvs_ros.evaluation.rows.ROWS`
        :param changes: options that this run has different from the others
        :raises LvsError: when the row lacks its weights, or data and model do not fit.
        """
        if name == REFERENCE and not changes:
            return self.reference
        return self._run(name, dataclasses.replace(self._options, **changes), self.reference)

    def streaming_miou(self, name: str, full_s: float) -> tuple[float, float]:
        """Return the streaming mIoU of a row, and of its forecasts, in simulated time.

        :param full_s: duration of the full network; nothing is averaged over flipped images
        """
        options = dataclasses.replace(self._options, flip_averaging=False)
        stated = StatedDurations(full_s, full_s / FULL_PER_SLOW, options.flip_averaging)
        confusions: list[list[np.ndarray]] = [[], []]
        with build_row(name, options, stated.slow_s) as pipeline:
            for drive in self._dataset.drives:
                loaded = drive.load()
                outputs = [_room_for_masks(loaded, options) for _ in confusions]
                steps = stream(pipeline, ROWS[name], loaded, self._clock, stated,
                               masks=outputs[0], forecasts=outputs[1])
                for labels, newest in zip(loaded.labels, newest_of(loaded.frames, steps)):
                    if labels is not None and newest is not None:
                        for found, masks in zip(confusions, outputs):
                            found.append(confusion_of(labels, masks[newest],
                                                      pipeline.config.classes))
        as_it_is, ahead = (float(miou(np.sum(found, axis=0))) for found in confusions)
        return as_it_is, ahead

    def _run(self, name: str, options: PipelineOptions, reference: Optional[RowRun]) -> RowRun:
        row = ROWS[name]
        is_simulated = row.has_background and self._slow_delay_s is not None
        results: list[FrameResult] = []
        outputs_count = 0
        warm_size: Optional[tuple[int, int]] = None
        with build_row(name, options, self._slow_delay_s) as pipeline, \
                tqdm(desc=name, total=self._dataset.frame_count, unit='frame', mininterval=1.0,
                     disable=None, leave=False) as bar:
            self._dataset.check_model(pipeline, options.model)
            stated = stated_durations(options, self._slow_delay_s, self._full_s)
            threads, classes = pipeline.executor.frame_threads, pipeline.config.classes
            for number, drive in enumerate(self._dataset.drives):
                loaded = drive.load()
                if loaded.frames[0].size != warm_size:
                    warm_size = loaded.frames[0].size
                    _warm_up(pipeline, loaded)
                pipeline.reset()
                masks = _room_for_masks(loaded, options)
                outputs = _room_for_masks(loaded, options) if row.looks_ahead else masks
                with uncollected():
                    steps = play(
                        pipeline, loaded.frames, self._clock, masks=masks, progress=bar.update,
                        leave_out_slow_track=is_simulated,
                        finish=looking_ahead(pipeline, outputs) if row.looks_ahead else None)
                live, outputs = self._streamed(pipeline, row, loaded, steps, outputs, stated)
                newest = newest_of(loaded.frames, live)
                outputs_count += len(live)
                expected = list(masks) if reference is None else [
                    unpack(frame.packed_mask) for frame in reference.frames
                    if frame.drive == number]
                results += [_scored(number, loaded, step, masks[step.index], expectation,
                                    classes, newest[step.index], outputs)
                            for step, expectation in zip(steps, expected, strict=True)]
            device = str(pipeline.device)
        settings = _settings(name, options)
        if is_simulated:
            settings['slow_delay_s'] = self._slow_delay_s
        return RowRun(name, row.title, settings, threads, device, tuple(results), outputs_count)

    def _streamed(self, pipeline: SegmentationPipeline, row: Row, drive: LoadedDrive,
                  steps: Sequence[TimedStep], outputs: np.ndarray,
                  stated: Optional[StatedDurations]) -> tuple[Sequence[TimedStep], np.ndarray]:
        """Return the steps where the newest frame wins, and their outputs.

        :param steps: of all frames
        :param outputs: (frames, H, W) uint8, of all frames
        """
        if stated is not None:
            steps = with_durations(drive.frames, steps, [
                stated.of(step.status, small_share=row.small_share) for step in steps])
        if any_overtaken(drive.frames, steps):
            masks, forecasts = (np.full_like(outputs, UNLABELLED) for _ in range(2))
            steps = stream(pipeline, row, drive, self._clock, stated, masks=masks,
                           forecasts=forecasts if row.looks_ahead else None)
            outputs = forecasts if row.looks_ahead else masks
        return steps, outputs


def stated_durations(options: PipelineOptions, slow_s: Optional[float],
                     full_s: Optional[float]) -> Optional[StatedDurations]:
    """Return how long frames take where time is simulated; None = as long as they take.

    :raises ConfigurationError: for durations that cannot be.
    """
    if slow_s is None:
        return None
    return StatedDurations(FULL_PER_SLOW * slow_s if full_s is None else full_s, slow_s,
                           options.flip_averaging)


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
        arrival_s = _since_first_s(frames, step.index)
        done_s = max(arrival_s, free_s) + duration_s
        if step.index:    # the camera runs from the first mask on
            free_s = done_s
        found.append(dataclasses.replace(step, latency_ms=(done_s - arrival_s) * 1e3,
                                         compute_ms=duration_s * 1e3))
    return found


def any_overtaken(frames: Sequence[Frame], steps: Sequence[TimedStep]) -> bool:
    """Tell whether a frame waited until a newer one was there."""
    return any((step.latency_ms - step.compute_ms) / 1e3 >=
               _since_first_s(frames, step.index + 1) - _since_first_s(frames, step.index)
               for step in steps[1:-1])


def newest_of(frames: Sequence[Frame], steps: Sequence[TimedStep]) -> list[Optional[int]]:
    """Return :func:`~lvs_ros.evaluation.streaming.newest_outputs` of the frames."""
    stamps_s = [_since_first_s(frames, number) for number in range(len(frames))]
    return newest_outputs(stamps_s, [
        (step.index, stamps_s[step.index] + step.latency_ms / 1e3) for step in steps])


def _since_first_s(frames: Sequence[Frame], number: int) -> float:
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
        arrival_s = begin_s + _since_first_s(frames, number) if steps else clock.now()
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
                begin_s + _since_first_s(frames, number + 1) <= ended_s):
            number += 1
    return steps


def _room_for_masks(drive: LoadedDrive, options: PipelineOptions) -> np.ndarray:
    width, height = drive.frames[0].size if options.output_size == (0, 0) else options.output_size
    # Filled, so that all pages are mapped before the first frame arrives.
    return np.full((len(drive.frames), height, width), UNLABELLED, np.uint8)


def _scored(number: int, drive: LoadedDrive, step: TimedStep, mask: np.ndarray,
            expected: np.ndarray, classes: int, newest: Optional[int], outputs: np.ndarray
            ) -> FrameResult:
    labels = drive.labels[step.index]
    return FrameResult(
        **vars(step), drive=number, stamp_ns=drive.frames[step.index].stamp_ns,
        confusion=None if labels is None else confusion_of(labels, mask, classes),
        agreement=confusion_of(expected, mask, classes), packed_mask=pack(mask), newest=newest,
        streaming=None if labels is None or newest is None
        else confusion_of(labels, outputs[newest], classes))


def _warm_up(pipeline: SegmentationPipeline, drive: LoadedDrive) -> None:
    """Take the cost of first calls, also that which S_h has in its own thread."""
    pipeline.warm_up(*drive.frames[0].size)
    for frame in drive.frames[:_WARM_UP_FRAMES]:
        pipeline.forecast(frame, pipeline.step(frame))


def _settings(name: str, options: PipelineOptions) -> dict[str, Any]:
    """Return the options that the row's schedule looks at."""
    schedule = ROWS[name].schedule
    settings: dict[str, Any] = {}
    if schedule == 'fixed':
        settings['fixed_interval'] = options.fixed_interval
    if schedule in ('adaptive', 'low_latency'):
        settings['threshold'] = options.threshold
        settings['max_key_age_frames'] = options.max_key_age_frames
    return settings
