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
        keys: Optional[Sequence[bool]], threshold: float) -> Outcome:
    """Label a drive.

    :param keys: which frames are key frames; None = those above the threshold
    """
    pipeline.reset()
    classes = pipeline.config.classes
    counts, found = np.zeros((2, classes, classes), np.int64), [0, 0]
    for index, one in enumerate(frames):
        # At 0 every frame becomes a key frame, and none at 1.
        pipeline.change(threshold=threshold if keys is None else float(not keys[index]))
        result = pipeline.step(one.frame)
        found[one.standing] += result.status.key_frame
        counts[int(one.standing)] += confusion_of(one.labels, result.mask, classes)
    parts = np.stack((counts.sum(0), *counts))
    return Outcome((sum(found), *found),
                   100 * np.stack((miou(parts), pixel_accuracy(parts)), 1))


def compare(seeds: Sequence[int], threshold: float, options: PipelineOptions
            ) -> Iterator[tuple[Outcome, Outcome]]:
    """Run the adaptive schedule over a drive of each seed, and one of as many key frames."""
    options = dataclasses.replace(options, threshold=threshold)
    with build_row('adaptive', options) as pipeline:
        for seed in tqdm(seeds, unit='drive', disable=None, leave=False):
            frames = drive(seed)
            adaptive = run(pipeline, frames, None, threshold)
            keys = even_key_frames(len(frames), adaptive.key_frames[0])
            yield adaptive, run(pipeline, frames, keys, threshold)


def main() -> None:
    """Print each drive, and the mean difference with its standard error over the drives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seeds', type=int, nargs='+', default=list(range(9101, 9107)))
    parser.add_argument('--threshold', type=float, default=0.1)
    parser.add_argument('--model', default='lite_camvid')
    parser.add_argument('--cpu-threads', type=int, default=0)
    args = parser.parse_args()
    options = PipelineOptions(model=args.model, precision='float32', flip_averaging=False,
                              cpu_threads=args.cpu_threads)
    differences = []
    for seed, (adaptive, even) in zip(args.seeds, compare(args.seeds, args.threshold, options)):
        differences.append(adaptive.percent - even.percent)
        for index, part in enumerate(PARTS):
            print(f'seed {seed}, {part}: key frames {adaptive.key_frames[index]} adaptive, '
                  f'{even.key_frames[index]} even; mIoU %, pixel accuracy %: '
                  f'{adaptive.percent[index].round(2)}, {even.percent[index].round(2)}',
                  flush=True)
    means, errors = np.mean(differences, 0), np.std(differences, 0, ddof=1) / math.sqrt(
        len(differences))
    for part, mean, error in zip(PARTS, means, errors):
        print(f'{part}, adaptive minus even: mIoU {mean[0]:+.2f} ±{error[0]:.2f}, '
              f'pixel accuracy {mean[1]:+.2f} ±{error[1]:.2f} points')


if __name__ == '__main__':
    main()
