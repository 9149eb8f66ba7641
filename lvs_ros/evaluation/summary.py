# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The figures of a row."""

import dataclasses
from typing import Any, Mapping, Optional, Sequence

import numpy as np

from lvs_ros.evaluation.bootstrap import BLOCK_S, resample, resampled_miou, standard_error
from lvs_ros.evaluation.dataset import Dataset
from lvs_ros.evaluation.metrics import iou, miou, pixel_accuracy
from lvs_ros.evaluation.run import FrameResult, RowRun
from lvs_ros.evaluation.streaming import miou_or_none


@dataclasses.dataclass(frozen=True)
class RowSummary:
    """A row of the table; fractions are 0..1, times milliseconds.

    Where the data have no labels, ``miou``, ``streaming_miou`` and ``iou`` are against the masks
    of the per-frame network. They are called agreement wherever they are shown.

    :param title: as printed
    :param settings: what its schedule works with
    :param frames: how many were run
    :param labelled_frames: how many of these were scored against labels
    :param miou_se: standard error of ``miou``, by the moving block bootstrap; None = too few
        frames
    :param streaming_miou: at every instant, the newest output against the labels of the frame that
        arrives then (:mod:`~lvs_ros.evaluation.streaming`); None = drives of one frame
    :param streaming_miou_se: its standard error
    :param overtaken: fraction of the frames that were not labelled there, since a newer one came
    :param difference: ``miou`` minus that of the per-frame network
    :param difference_se: its standard error, over the same resamples
    :param iou: of each class by name; None = it does not occur
    :param pixel_accuracy: fraction of the labelled pixels that is right
    :param agreement: mean fraction of pixels that equal the per-frame network's
    :param agreement_miou: against the per-frame network's masks, in place of the labels
    :param key_rate: fraction of the frames that became key frames
    :param mean_ms: latency, from arrival to mask, waiting included; so are the two that follow
    :param compute_mean_ms: of the pipeline step alone; so are the two that follow
    :param first_ms: the longest first frame of a drive, which is not among the times above
    :param threads: CPU threads of the fast track
    """

    name: str
    title: str
    settings: Mapping[str, Any]
    frames: int
    labelled_frames: int
    miou: float
    miou_se: Optional[float]
    streaming_miou: Optional[float]
    streaming_miou_se: Optional[float]
    overtaken: float
    difference: float
    difference_se: Optional[float]
    pixel_accuracy: float
    agreement: float
    agreement_miou: float
    key_rate: float
    mean_ms: float
    p99_ms: float
    worst_ms: float
    compute_mean_ms: float
    compute_p99_ms: float
    compute_worst_ms: float
    first_ms: float
    threads: int
    iou: Mapping[str, Optional[float]]


class Summariser:
    """Works out the figures of rows, all over the same resamples of the same frames.

    :param reference: the per-frame network's run
    :param seed: of the resamples
    """

    def __init__(self, dataset: Dataset, reference: RowRun, *, seed: int = 0) -> None:
        self._names = dataset.label_set.names
        self._is_labelled = dataset.is_labelled
        labelled = [frame for frame in reference.frames if frame.confusion is not None]
        drives = [sum(frame.drive == number for frame in labelled)
                  for number in range(len(dataset.drives))]
        self.block_frames = block_frames(labelled)
        self._weights = resample([length for length in drives if length], self.block_frames,
                                 seed=seed)
        later = [sum(frame.drive == number and frame.streaming is not None for frame in labelled)
                 for number in range(len(dataset.drives))]
        self._streaming_weights = resample([length for length in later if length],
                                           self.block_frames, seed=seed)
        self._reference = confusions_of(reference)
        self._reference_resampled = self.resampled(reference)

    def resampled(self, run: RowRun) -> Optional[np.ndarray]:
        """Return the mIoU of each resample, (count,); None = too few frames for any."""
        if self._weights is None:
            return None
        return resampled_miou(self._weights, confusions_of(run))

    def summarise(self, run: RowRun) -> RowSummary:
        """Return the row."""
        confusions, streaming = confusions_of(run), streaming_confusions_of(run)
        total = confusions.sum(0)
        agreements = np.array([frame.agreement for frame in run.frames])
        resampled, reference = self.resampled(run), self._reference_resampled
        # Drives of one frame have nothing but their first.
        timed = [frame for frame in run.frames if frame.index > 0] or run.frames
        latency_ms = [frame.latency_ms for frame in timed]
        compute_ms = [frame.compute_ms for frame in timed]
        return RowSummary(
            name=run.name, title=run.title, settings=run.settings,
            frames=len(run.frames), labelled_frames=len(confusions) * self._is_labelled,
            miou=float(miou(total)), miou_se=standard_error(resampled),
            streaming_miou=miou_or_none(list(streaming)),
            streaming_miou_se=None if self._streaming_weights is None else standard_error(
                resampled_miou(self._streaming_weights, streaming)),
            overtaken=1 - run.outputs / len(run.frames),
            difference=float(miou(total) - miou(self._reference.sum(0))),
            difference_se=None if resampled is None or reference is None
            else standard_error(resampled - reference),
            pixel_accuracy=float(pixel_accuracy(total)),
            agreement=float(np.mean(pixel_accuracy(agreements))),
            agreement_miou=float(miou(agreements.sum(0))),
            key_rate=float(np.mean([frame.status.key_frame for frame in run.frames])),
            mean_ms=float(np.mean(latency_ms)), p99_ms=float(np.percentile(latency_ms, 99)),
            worst_ms=max(latency_ms), compute_mean_ms=float(np.mean(compute_ms)),
            compute_p99_ms=float(np.percentile(compute_ms, 99)),
            compute_worst_ms=max(compute_ms), threads=run.threads,
            first_ms=max(frame.compute_ms for frame in run.frames if frame.index == 0),
            iou={name: float(value) if np.isfinite(value) else None
                 for name, value in zip(self._names, iou(total))})


def confusions_of(run: RowRun) -> np.ndarray:
    """(labelled frames, classes, classes) int64."""
    return np.array([frame.confusion for frame in run.frames if frame.confusion is not None])


def streaming_confusions_of(run: RowRun) -> np.ndarray:
    """(labelled frames but the first of each drive, classes, classes) int64."""
    return np.array([frame.streaming for frame in run.frames if frame.streaming is not None])


def block_frames(labelled: Sequence[FrameResult]) -> int:
    """Return how many labelled frames make a block of about :data:`BLOCK_S`."""
    spacings = [later.stamp_ns - earlier.stamp_ns for earlier, later
                in zip(labelled, labelled[1:]) if earlier.drive == later.drive]
    return max(1, round(BLOCK_S * 1e9 / float(np.median(spacings)))) if spacings else 1
