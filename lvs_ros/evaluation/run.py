# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Runs a row over the drives, as a camera would feed it, and scores its masks afterwards.

While the frames are timed nothing is read, decoded or scored. Every frame is labelled, however
long it waits. Where the newest frame, which wins in the node, would overtake another, the drive is
run once more like that, for the streaming accuracy.
"""

import dataclasses
from typing import Any, Mapping, Optional, Sequence

import numpy as np

from lvs_ros.evaluation.clock import Clock
from lvs_ros.evaluation.dataset import Dataset, LoadedDrive
from lvs_ros.evaluation.metrics import confusion_of, miou
from lvs_ros.evaluation.playing import (TimedStep, any_overtaken, looking_ahead, newest_of, play,
                                        stream, with_durations)
from lvs_ros.evaluation.progress import Progress
from lvs_ros.evaluation.rows import ROWS, Row, build_row
from lvs_ros.evaluation.streaming import FULL_PER_SLOW, StatedDurations
from lvs_ros.labels import UNLABELLED
from lvs_ros.options import PipelineOptions
from lvs_ros.packed_mask import pack, unpack
from lvs_ros.pipeline.pipeline import SegmentationPipeline
from lvs_ros.program_settings import uncollected

REFERENCE = 'per_frame'
"""The row that every other one is compared with."""

_WARM_UP_FRAMES = 5


@dataclasses.dataclass(frozen=True)
class FrameResult(TimedStep):
    """The result of one frame.

    :param drive: number of its drive, from 0
    :param confusion: (classes, classes), labels against mask; None of an unlabelled frame. Where
        the data have no labels at all, the per-frame network's masks stand for them, here and in
        ``streaming``
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


class Runner:
    """Runs rows over the same drives.

    :param options: of all rows
    :param slow_delay_s: simulated duration of S_h, the same on every machine; None = its result
        enters when it is really done, which needs a real clock
    :param full_s: simulated duration of the full network, for the streaming accuracy; None = as
        long as S_h takes, times :data:`~lvs_ros.evaluation.streaming.FULL_PER_SLOW`
    :param progress: told of every frame; None = nobody is
    """

    def __init__(self, dataset: Dataset, options: PipelineOptions, clock: Clock,
                 slow_delay_s: Optional[float] = None, full_s: Optional[float] = None,
                 progress: Optional[Progress] = None) -> None:
        self._dataset = dataset
        self._options = options
        self._slow_delay_s = slow_delay_s
        self._full_s = full_s
        self._clock = clock
        self._progress = progress or Progress()
        self._progress.begin(REFERENCE)
        self.reference = self._run(REFERENCE, options, None)    # the per-frame network's run

    def run(self, name: str, **changes: Any) -> RowRun:
        """Run one row.

        :param name: one of :data:`~lvs_ros.evaluation.rows.ROWS`
        :param changes: options that this run has different from the others
        :raises LvsError: when the row lacks its weights, or data and model do not fit.
        """
        if name == REFERENCE and not changes:
            return self.reference
        self._progress.begin(' '.join([name, *(f'{value:g}' for value in changes.values())]))
        return self._run(name, dataclasses.replace(self._options, **changes), self.reference)

    def streaming_miou(self, name: str, full_s: float) -> tuple[float, float]:
        """Return the streaming mIoU of a row, and of its forecasts, in simulated time.

        :param full_s: duration of the full network; nothing is averaged over flipped images
        """
        options = dataclasses.replace(self._options, flip_averaging=False)
        stated = StatedDurations(full_s, full_s / FULL_PER_SLOW, options.flip_averaging)
        confusions: list[list[np.ndarray]] = [[], []]
        self._progress.begin(f'{name}, full network of {full_s:g} s')
        with build_row(name, options, stated.slow_s) as pipeline:
            for number, drive in enumerate(self._dataset.drives):
                loaded = drive.load()
                outputs = [_room_for_masks(loaded, options) for _ in confusions]
                steps = stream(pipeline, ROWS[name], loaded, self._clock, stated,
                               masks=outputs[0], forecasts=outputs[1])
                self._progress.update(len(loaded.frames))
                for labels, newest in zip(self.targets(number, loaded),
                                          newest_of(loaded.frames, steps)):
                    if labels is not None and newest is not None:
                        for found, masks in zip(confusions, outputs):
                            found.append(confusion_of(labels, masks[newest],
                                                      pipeline.config.classes))
        as_it_is, ahead = (float(miou(np.sum(found, axis=0))) for found in confusions)
        return as_it_is, ahead

    def targets(self, number: int, drive: LoadedDrive) -> Sequence[Optional[np.ndarray]]:
        """Return what the masks of a drive are scored against, (H, W) uint8 a frame.

        :param number: of the drive
        """
        return drive.labels if self._dataset.is_labelled else [
            unpack(frame.packed_mask) for frame in self.reference.frames if frame.drive == number]

    def _run(self, name: str, options: PipelineOptions, reference: Optional[RowRun]) -> RowRun:
        row = ROWS[name]
        is_simulated = row.has_background and self._slow_delay_s is not None
        results: list[FrameResult] = []
        outputs_count = 0
        warm_size: Optional[tuple[int, int]] = None
        settings = _settings(name, options)
        with build_row(name, options, self._slow_delay_s) as pipeline:
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
                        pipeline, loaded.frames, self._clock, masks=masks,
                        progress=self._progress.update,
                        leave_out_slow_track=is_simulated,
                        finish=looking_ahead(pipeline, outputs) if row.looks_ahead else None)
                live, outputs = self._streamed(pipeline, row, loaded, steps, outputs, stated)
                newest = newest_of(loaded.frames, live)
                outputs_count += len(live)
                expected = list(masks) if reference is None else [
                    unpack(frame.packed_mask) for frame in reference.frames
                    if frame.drive == number]
                targets = loaded.labels if self._dataset.is_labelled else expected
                results += [_scored(number, loaded, step, masks[step.index], expectation, target,
                                    classes, newest[step.index], outputs)
                            for step, expectation, target in zip(steps, expected, targets,
                                                                 strict=True)]
            device = str(pipeline.device)
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


def _room_for_masks(drive: LoadedDrive, options: PipelineOptions) -> np.ndarray:
    width, height = drive.frames[0].size if options.output_size == (0, 0) else options.output_size
    # Filled, so that all pages are mapped before the first frame arrives.
    return np.full((len(drive.frames), height, width), UNLABELLED, np.uint8)


def _scored(number: int, drive: LoadedDrive, step: TimedStep, mask: np.ndarray,
            expected: np.ndarray, labels: Optional[np.ndarray], classes: int,
            newest: Optional[int], outputs: np.ndarray) -> FrameResult:
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
