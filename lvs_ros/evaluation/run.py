# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Runs a row over the drives, as a camera would feed it, and scores its masks afterwards.

While the frames are timed nothing is read, decoded or scored.
"""

import dataclasses
from typing import Any, Callable, Mapping, Optional, Protocol, Sequence

import numpy as np
from tqdm import tqdm

from lvs_ros.evaluation.clock import Clock
from lvs_ros.evaluation.dataset import Dataset, LoadedDrive
from lvs_ros.evaluation.metrics import confusion_of
from lvs_ros.evaluation.rows import ROWS, build_row
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

    :param latency_ms: from the frame's arrival to its mask, waiting for the frames before it
        included
    :param compute_ms: of the pipeline step alone
    """

    status: StepStatus
    latency_ms: float
    compute_ms: float


@dataclasses.dataclass(frozen=True)
class FrameResult(TimedStep):
    """The result of one frame.

    :param drive: number of its drive, from 0
    :param index: its number in the drive, from 0
    :param confusion: (classes, classes), labels against mask; None of an unlabelled frame
    :param agreement: (classes, classes), the per-frame network's mask against this one
    :param packed_mask: the mask, see :func:`lvs_ros.packed_mask.unpack`
    """

    drive: int
    index: int
    stamp_ns: int
    confusion: Optional[np.ndarray]
    agreement: np.ndarray
    packed_mask: bytes


@dataclasses.dataclass(frozen=True)
class RowRun:
    """The run of a row over all drives.

    :param settings: what distinguishes it from another run of the same row
    :param threads: CPU threads of the fast track
    :param device: where it ran, as torch names it
    """

    name: str
    title: str
    settings: Mapping[str, Any]
    threads: int
    device: str
    frames: tuple[FrameResult, ...]


class Steps(Protocol):
    """The part of a pipeline that :func:`play` calls."""

    def step(self, frame: Frame) -> StepResult:
        """Label one frame."""


class Runner:
    """Runs rows over the same drives.

    :param options: of all rows
    :param slow_delay_s: simulated duration of S_h, the same on every machine; None = its result
        enters when it is really done, which needs a real clock
    """

    def __init__(self, dataset: Dataset, options: PipelineOptions, clock: Clock,
                 slow_delay_s: Optional[float] = None) -> None:
        self._dataset = dataset
        self._options = options
        self._slow_delay_s = slow_delay_s
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

    def _run(self, name: str, options: PipelineOptions, reference: Optional[RowRun]) -> RowRun:
        is_simulated = ROWS[name].has_background and self._slow_delay_s is not None
        results: list[FrameResult] = []
        warm_size: Optional[tuple[int, int]] = None
        with build_row(name, options, self._slow_delay_s) as pipeline, \
                tqdm(desc=name, total=self._dataset.frame_count, unit='frame', mininterval=1.0,
                     disable=None, leave=False) as bar:
            self._dataset.check_model(pipeline, options.model)
            threads = pipeline.executor.frame_threads
            for number, drive in enumerate(self._dataset.drives):
                loaded = drive.load()
                if loaded.frames[0].size != warm_size:
                    warm_size = loaded.frames[0].size
                    _warm_up(pipeline, loaded)
                pipeline.reset()
                masks = _room_for_masks(loaded, options)
                with uncollected():
                    steps = play(pipeline, loaded.frames, self._clock, masks=masks,
                                 progress=bar.update,
                                 leave_out_slow_track=is_simulated)
                expected = list(masks) if reference is None else [
                    unpack(frame.packed_mask) for frame in reference.frames
                    if frame.drive == number]
                results += [
                    _scored(number, index, loaded, step, mask, expectation,
                            pipeline.config.classes)
                    for index, (step, mask, expectation) in enumerate(
                        zip(steps, masks, expected, strict=True))]
            device = str(pipeline.device)
        settings = _settings(name, options)
        if is_simulated:
            settings['slow_delay_s'] = self._slow_delay_s
        return RowRun(name, ROWS[name].title, settings, threads, device,
                      tuple(results))


def play(pipeline: Steps, frames: Sequence[Frame], clock: Clock, *,
         masks: Optional[np.ndarray] = None, leave_out_slow_track: bool = False,
         progress: Callable[[], object] = lambda: None) -> list[TimedStep]:
    """Let the frames of a drive arrive at their stamps; each waits for the one before it.

    The first frame is where the drive starts from: there is nothing to propagate to it, every
    row computes it in full. The camera runs from its mask on, so that no other frame waits for
    it.

    :param masks: (frames, H, W) uint8, which the masks are copied to. Kept as they are, they would
        lie between what the steps need for a while: the process would grow with every frame, and
        the frames would wait for the memory.
    :param leave_out_slow_track: S_h and its refinement run within the steps, in place of a
        background; take their durations out of those of the steps
    :param progress: called after each frame
    """
    steps: list[TimedStep] = []
    begin_s = 0.0
    for number, frame in enumerate(frames):
        since_first_s = (frame.stamp_ns - frames[0].stamp_ns) / 1e9
        arrival_s = begin_s + since_first_s if steps else clock.now()
        clock.sleep_until(arrival_s)
        started_s = clock.now()
        result = pipeline.step(frame)
        if leave_out_slow_track:
            clock.leave_out(result.status.stage_ms['slow_track'] / 1e3)
        ended_s = clock.now()
        if not steps:
            begin_s = ended_s
        steps.append(TimedStep(
            result.status, (ended_s - arrival_s) * 1e3, (ended_s - started_s) * 1e3))
        if masks is not None:
            masks[number] = result.mask
        del result    # so that the next step can reuse its memory
        progress()
    return steps


def _room_for_masks(drive: LoadedDrive, options: PipelineOptions) -> np.ndarray:
    width, height = drive.frames[0].size if options.output_size == (0, 0) else options.output_size
    # Filled, so that all pages are mapped before the first frame arrives.
    return np.full((len(drive.frames), height, width), UNLABELLED, np.uint8)


def _scored(number: int, index: int, drive: LoadedDrive, step: TimedStep, mask: np.ndarray,
            expected: np.ndarray, classes: int) -> FrameResult:
    labels = drive.labels[index]
    return FrameResult(
        **vars(step), drive=number, index=index, stamp_ns=drive.frames[index].stamp_ns,
        confusion=None if labels is None else confusion_of(labels, mask, classes),
        agreement=confusion_of(expected, mask, classes), packed_mask=pack(mask))


def _warm_up(pipeline: SegmentationPipeline, drive: LoadedDrive) -> None:
    """Take the cost of first calls, also that which S_h has in its own thread."""
    pipeline.warm_up(*drive.frames[0].size)
    for frame in drive.frames[:_WARM_UP_FRAMES]:
        pipeline.step(frame)


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
