# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How much of a figure is chance: the moving block bootstrap.

Künsch, "The Jackknife and the Bootstrap for General Stationary Observations", Annals of
Statistics 1989. Neighbouring frames of a drive are alike; drawn one by one they would seem to be
independent measurements, and the error too small. So blocks of consecutive frames are drawn.
"""

from typing import Optional, Sequence

import numpy as np

from lvs_ros.evaluation.metrics import miou

RESAMPLES = 1000
BLOCK_S = 1.0
_LEAST_BLOCKS = 3
"""Of fewer disjoint blocks no spread can be told."""


def resample(lengths: Sequence[int], block_frames: int, *, count: int = RESAMPLES, seed: int = 0
             ) -> Optional[np.ndarray]:
    """Draw frames in blocks, with replacement.

    :param lengths: how many frames each drive has; no block spans two drives, and a drive that is
        shorter than a block is one
    :param block_frames: frames of a block
    :param count: how many resamples
    :return: (count, sum of lengths) float64, how often each frame is drawn; as many frames in all
        as there are. None when the drives are too short for it.
    """
    if sum(max(1, length // block_frames) for length in lengths) < _LEAST_BLOCKS:
        return None
    starts, sizes = _blocks(lengths, block_frames)
    frames = sum(lengths)
    random = np.random.default_rng(seed)
    drawn = random.integers(len(starts), size=(count, -(-frames // sizes.min())))
    before = np.cumsum(sizes[drawn], axis=1) - sizes[drawn]
    taken = np.clip(frames - before, 0, sizes[drawn])    # the last block is cut, more are nothing
    # +1 where a block begins and -1 after its end: the running sum tells how many hold a frame
    edges = np.zeros((count, frames + 1))
    rows = np.arange(count)[:, None]
    np.add.at(edges, (rows, starts[drawn]), 1)
    np.add.at(edges, (rows, starts[drawn] + taken), -1)
    return edges.cumsum(1)[:, :-1]


def _blocks(lengths: Sequence[int], block_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Return first frame and number of frames of every block that can be drawn."""
    starts: list[int] = []
    sizes: list[int] = []
    first = 0
    for length in lengths:
        size = min(block_frames, length)
        starts += range(first, first + length - size + 1)
        sizes += [size] * (length - size + 1)
        first += length
    return np.array(starts), np.array(sizes)


def resampled_miou(weights: np.ndarray, confusions: np.ndarray) -> np.ndarray:
    """Return the mIoU of each resample, (count,) float64.

    :param weights: (count, frames), from :func:`resample`
    :param confusions: (frames, classes, classes)
    """
    frames, classes, _ = confusions.shape
    sums = weights @ confusions.reshape(frames, classes * classes).astype(np.float64)
    return miou(sums.reshape(-1, classes, classes))


def standard_error(values: Optional[np.ndarray]) -> Optional[float]:
    """Return the standard deviation over the resamples; None where there are none."""
    return None if values is None else float(np.std(values, ddof=1))
