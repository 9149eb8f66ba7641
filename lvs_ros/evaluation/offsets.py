# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Cityscapes' protocol for propagation: labels at every distance from the key frame.

A labelled frame is propagated to, directly, from the key frame that lies o frames before it, for
o = 0 .. interval - 1. The average over the offsets is what a fixed schedule reaches, the minimum
what its worst frame does (Li, Shi, Lin, section 4; Zhu et al., "Deep Feature Flow", CVPR 2017).
"""

import dataclasses
from typing import Optional

import numpy as np

from lvs_ros.errors import DatasetError
from lvs_ros.evaluation.dataset import Dataset, LoadedDrive
from lvs_ros.evaluation.metrics import confusion_of, miou
from lvs_ros.evaluation.progress import Progress
from lvs_ros.evaluation.rows import ROWS, build_row
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.pipeline import SegmentationPipeline


@dataclasses.dataclass(frozen=True)
class OffsetsSummary:
    """A row under this protocol.

    :param frames: labelled frames that were scored, the same at every offset
    :param miou: of offset 0, 1, …; 0..1
    :param average: over the offsets
    :param minimum: over the offsets
    """

    name: str
    title: str
    frames: int
    miou: tuple[float, ...]
    average: float
    minimum: float


def offset_targets(dataset: Dataset, interval: int) -> list[list[int]]:
    """Return the labelled frames of each drive that have a key frame at every offset."""
    return [[index for index, frame in enumerate(drive.frames)
             if frame.label_path is not None and index >= interval - 1]
            for drive in dataset.drives]


def run_offsets(name: str, options: PipelineOptions, dataset: Dataset,
                progress: Optional[Progress] = None) -> OffsetsSummary:
    """Run one row of a fixed schedule.

    :param options: ``fixed_interval`` gives the offsets
    :param progress: told of every labelled frame; None = nobody is
    :raises DatasetError: when no labelled frame has enough frames before it.
    """
    progress = progress or Progress()
    progress.begin(f'{name}, offsets')
    interval = options.fixed_interval
    targets = offset_targets(dataset, interval)
    if not any(targets):
        raise DatasetError(
            f'{dataset.name}: no labelled frame has {interval - 1} frames before it in its drive; '
            'the protocol "offsets" needs the frames before the labelled ones (Cityscapes: '
            'unpack leftImg8bit_sequence), or a shorter --fixed-interval')
    with build_row(name, options) as pipeline:
        dataset.check_model(pipeline, options.model)
        counts = np.zeros((interval, pipeline.config.classes, pipeline.config.classes), np.int64)
        for drive, indices in zip(dataset.drives, targets):
            loaded = drive.load()
            for index in indices:
                counts += _score(pipeline, loaded, index, interval)
                progress.update(frames_of_offsets(interval))
    values = tuple(float(value) for value in miou(counts))
    return OffsetsSummary(name, ROWS[name].title, sum(map(len, targets)), values,
                          average=float(np.mean(values)), minimum=min(values))


def frames_of_offsets(interval: int) -> int:
    """Return how many frames are computed for a labelled one."""
    return 2 * interval - 1


def _score(pipeline: SegmentationPipeline, drive: LoadedDrive, target: int, interval: int
           ) -> np.ndarray:
    """Return the confusion matrix of each offset, (interval, classes, classes)."""
    labels = drive.labels[target]
    assert labels is not None
    counts = []
    for offset in range(interval):
        pipeline.reset()
        result = pipeline.step(drive.frames[target - offset])
        if offset:
            result = pipeline.step(drive.frames[target])
        counts.append(confusion_of(labels, result.mask, pipeline.config.classes))
    return np.array(counts)
