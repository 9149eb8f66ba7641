# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the masks are worth that come once more, by S_h of their own frame (~/mask_refined)."""

import dataclasses

import numpy as np

from lvs_ros.evaluation.dataset import Dataset, LoadedDrive
from lvs_ros.evaluation.metrics import confusion_of, miou
from lvs_ros.evaluation.progress import Progress
from lvs_ros.evaluation.rows import build_row
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.frame import RefinedMask
from lvs_ros.pipeline.pipeline import SegmentationPipeline


@dataclasses.dataclass(frozen=True)
class RefinedSummary:
    """The row low_latency with the last mask of each image, in place of the first.

    :param frames: of all drives
    :param refined: those of them whose refined mask came before the next frame
    :param miou: 0..1
    """

    frames: int
    refined: int
    miou: float


def run_refined(options: PipelineOptions, dataset: Dataset, slow_delay_s: float,
                progress: Progress) -> RefinedSummary:
    """Run it.

    :param slow_delay_s: simulated duration of S_h
    :param progress: told of every drive
    """
    progress.begin('low_latency, refined')
    refined = 0
    with build_row('low_latency', options, slow_delay_s) as pipeline:
        dataset.check_model(pipeline, options.model)
        classes = pipeline.config.classes
        counts = np.zeros((classes, classes), np.int64)
        for drive in dataset.drives:
            loaded = drive.load()
            masks = _masks(pipeline, loaded)
            progress.update(len(masks))
            refined += sum(is_refined for _, is_refined in masks)
            counts += sum(confusion_of(labels, mask, classes)
                          for labels, (mask, _) in zip(loaded.labels, masks) if labels is not None)
    return RefinedSummary(dataset.frame_count, refined, float(miou(counts)))


def _masks(pipeline: SegmentationPipeline, drive: LoadedDrive) -> list[tuple[np.ndarray, bool]]:
    """Return the last mask of each frame, and whether it is a refined one."""
    stamps_ns = [frame.stamp_ns for frame in drive.frames]
    refined: dict[int, np.ndarray] = {}

    def keep(one: RefinedMask) -> None:
        refined[one.stamp_ns] = one.mask

    pipeline.reset()
    pipeline.on_refined = keep
    first = [pipeline.step(frame).mask for frame in drive.frames]
    if len(stamps_ns) > 1:    # what would have come before one more frame
        pipeline.take_results(2 * stamps_ns[-1] - stamps_ns[-2])
    return [(refined.get(stamp_ns, mask), stamp_ns in refined)
            for stamp_ns, mask in zip(stamps_ns, first)]
