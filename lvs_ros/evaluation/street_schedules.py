# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The adaptive schedule against as many evenly spaced key frames, where the speed changes.

Each drive of the synthetic street is 20 s at 15 Hz: the car cruises, brakes, stands at a light and
pulls away. ``python -m lvs_ros.evaluation.street_schedules --help``
"""

import argparse
import dataclasses
import math
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

LabelledFrame = tuple[Frame, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One drive at one threshold.

    :param key_frames: of both schedules
    :param adaptive: mIoU and pixel accuracy, 0..1
    :param even: those with evenly spaced key frames
    """

    seed: int
    threshold: float
    key_frames: int
    adaptive: tuple[float, float]
    even: tuple[float, float]


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
    start_s = stop_start_s(scene)
    times_s = [index / RATE_HZ for index in range(round(RATE_HZ * DURATION_S))]
    return [(Frame(image, round(1e9 * time_s)), labels) for time_s in times_s
            for image, labels in [scene.render(start_s + time_s)]]


def run(pipeline: SegmentationPipeline, frames: Sequence[LabelledFrame],
        keys: Optional[Sequence[bool]], threshold: float
        ) -> tuple[int, tuple[float, float]]:
    """Label a drive; return its number of key frames, and mIoU and pixel accuracy.

    :param keys: which frames are key frames; None = those above the threshold
    """
    pipeline.reset()
    classes = pipeline.config.classes
    counts, found = np.zeros((classes, classes), np.int64), 0
    for index, (frame, labels) in enumerate(frames):
        # At 0 every frame becomes a key frame, and none at 1.
        pipeline.change(threshold=threshold if keys is None else float(not keys[index]))
        result = pipeline.step(frame)
        found += result.status.key_frame
        counts += confusion_of(labels, result.mask, classes)
    return found, (float(miou(counts)), float(pixel_accuracy(counts)))


def compare(seeds: Sequence[int], thresholds: Sequence[float], options: PipelineOptions
            ) -> Iterator[Comparison]:
    """Run both schedules over a drive of each seed, at each threshold."""
    with build_row('adaptive', options) as pipeline:
        for seed in tqdm(seeds, unit='drive', disable=None, leave=False):
            frames = drive(seed)
            for threshold in thresholds:
                key_frames, adaptive = run(pipeline, frames, None, threshold)
                _, even = run(pipeline, frames, even_key_frames(len(frames), key_frames), 0.0)
                yield Comparison(seed, threshold, key_frames, adaptive, even)


def main() -> None:
    """Print a line a drive, and the mean difference with its standard error over the drives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seeds', type=int, nargs='+', default=list(range(9101, 9107)))
    parser.add_argument('--thresholds', type=float, nargs='+', default=[0.1])
    parser.add_argument('--model', default='lite_camvid')
    parser.add_argument('--cpu-threads', type=int, default=0)
    args = parser.parse_args()
    options = PipelineOptions(model=args.model, precision='float32', flip_averaging=False,
                              cpu_threads=args.cpu_threads)
    found = []
    for one in compare(args.seeds, args.thresholds, options):
        found.append(one)
        print(f'seed {one.seed}, threshold {one.threshold:g}: {one.key_frames} key frames; mIoU, '
              'pixel accuracy %: adaptive {:.2f} {:.2f}, evenly spaced {:.2f} {:.2f}'.format(
                  *(100 * value for value in (*one.adaptive, *one.even))), flush=True)
    for threshold in args.thresholds:
        differences = np.array([100 * (np.array(one.adaptive) - np.array(one.even))
                                for one in found if one.threshold == threshold])
        errors = differences.std(0, ddof=1) / math.sqrt(len(differences))
        print(f'threshold {threshold:g}, adaptive minus evenly spaced: '
              'mIoU {:+.2f} ±{:.2f}, pixel accuracy {:+.2f} ±{:.2f} points'.format(
                  *np.stack((differences.mean(0), errors), 1).flat))


if __name__ == '__main__':
    main()
