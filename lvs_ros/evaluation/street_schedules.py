# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The adaptive schedule against as many evenly spaced key frames, where the speed changes.

Each drive of the synthetic street is 20 s at 15 Hz: the car cruises, brakes, stands at a light and
pulls away. Run by ``python -m lvs_ros.tools.street_schedules``.
"""

import dataclasses
from typing import Iterator, Optional, Sequence

import numpy as np
from tqdm import tqdm

from lvs_ros.evaluation.metrics import confusion_of, miou, pixel_accuracy
from lvs_ros.evaluation.rows import build_row
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.frame import Frame
from lvs_ros.pipeline.pipeline import SegmentationPipeline
from lvs_ros.street import StreetScene

RATE_HZ, DURATION_S = 15.0, 20.0
_BEFORE_STANDING_S = 9.0    # braking takes 5 s

PARTS = ('whole drive', 'moving', 'standing')


@dataclasses.dataclass(frozen=True)
class LabelledFrame:
    """A frame of a drive.

    :param labels: (H, W) uint8
    :param standing: the car stands
    """

    frame: Frame
    labels: np.ndarray
    standing: bool


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a schedule did on a drive.

    :param key_frames: of each of :data:`PARTS`
    :param percent: (parts, 2), mIoU and pixel accuracy
    """

    key_frames: tuple[int, ...]
    percent: np.ndarray


def stop_start_s(scene: StreetScene) -> float:
    """Return the time at which a drive begins that has its stop 9 s later."""
    first_s = next(time_s for time_s in np.arange(_BEFORE_STANDING_S, 200.0, 0.1)
                   if scene.motion.pose(float(time_s)).standing)
    return float(first_s) - _BEFORE_STANDING_S


def even_key_frames(frames: int, count: int) -> list[bool]:
    """Tell of each frame whether it is one of so many that are spaced evenly, the first among
    them.
    """
    return [index * count // frames > (index - 1) * count // frames for index in range(frames)]


def drive(seed: int) -> list[LabelledFrame]:
    """Draw a drive with a stop."""
    scene = StreetScene(seed=seed)
    start_s, found = stop_start_s(scene), []
    for index in range(round(RATE_HZ * DURATION_S)):
        time_s = index / RATE_HZ
        image, labels = scene.render(start_s + time_s)
        found.append(LabelledFrame(Frame(image, round(1e9 * time_s)), labels,
                                   scene.motion.pose(start_s + time_s).standing))
    return found


def run(pipeline: SegmentationPipeline, frames: Sequence[LabelledFrame],
        keys: Optional[Sequence[bool]], options: PipelineOptions) -> Outcome:
    """Label a drive.

    :param keys: which frames are key frames; None = those of the options' threshold and age
    """
    pipeline.reset()
    pipeline.change(threshold=options.threshold,
                    max_key_age_frames=0 if keys else options.max_key_age_frames)
    classes = pipeline.config.classes
    counts, found = np.zeros((2, classes, classes), np.int64), [0, 0]
    for index, one in enumerate(frames):
        if keys is not None:    # at 0 every frame becomes one, and none at 1
            pipeline.change(threshold=float(not keys[index]))
        result = pipeline.step(one.frame)
        found[one.standing] += result.status.key_frame
        counts[int(one.standing)] += confusion_of(one.labels, result.mask, classes)
    parts = np.stack((counts.sum(0), *counts))
    return Outcome((sum(found), *found),
                   100 * np.stack((miou(parts), pixel_accuracy(parts)), 1))


def compare(seeds: Sequence[int], options: PipelineOptions) -> Iterator[tuple[Outcome, Outcome]]:
    """Run the adaptive schedule over a drive of each seed, and one of as many key frames."""
    with build_row('adaptive', options) as pipeline:
        for seed in tqdm(seeds, unit='drive', disable=None, leave=False):
            frames = drive(seed)
            adaptive = run(pipeline, frames, None, options)
            keys = even_key_frames(len(frames), adaptive.key_frames[0])
            yield adaptive, run(pipeline, frames, keys, options)
