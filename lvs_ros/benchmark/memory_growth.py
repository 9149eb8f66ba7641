# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whether the memory of a process that repeats the same work grows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lvs_ros.benchmark.errors import BenchmarkError

FEWEST_SAMPLES = 20
_PARTS = 5    # of the second half
_RISE_TOLERANCE = 0.1    # of the memory


class MemorySample(NamedTuple):
    """Resident memory after so many frames."""

    frame: int
    mebibytes: float


@dataclasses.dataclass(frozen=True)
class MemoryGrowth:
    """How the memory developed, and whether that passes.

    The first half is not judged: buffers reach their size, libraries load. Over the second half
    the memory may vary, and may rise once, when something happens for the first time, but it must
    not grow steadily.

    :param at_10_percent: of the frames, MiB
    :param at_50_percent: of the frames, MiB
    :param at_100_percent: of the frames, MiB
    :param trend: growth over the second half, MiB: the least memory in each of its fifths, and the
        median of the differences from one fifth to the next, times their number; neither periodic
        variation nor a single step changes it
    :param trend_tolerance: the largest trend that passes, MiB
    :param rise: of the least memory from the first to the last fifth of the second half, MiB
    :param rise_tolerance: the largest rise that passes, MiB
    :param frames: from the first to the last fifth
    """

    at_10_percent: float
    at_50_percent: float
    at_100_percent: float
    trend: float
    trend_tolerance: float
    rise: float
    rise_tolerance: float
    frames: int

    @property
    def passes(self) -> bool:
        """Whether the memory counts as flat."""
        return self.trend <= self.trend_tolerance and self.rise <= self.rise_tolerance

    @property
    def kibibytes_per_frame(self) -> float:
        """The trend, KiB a frame."""
        return 1024 * self.trend / self.frames


def judge_memory(samples: Sequence[MemorySample], *, tolerance: float) -> MemoryGrowth:
    """Judge memory over frames.

    :param samples: in the order of the frames, evenly spread
    :param tolerance: the largest trend over the second half that passes, MiB
    :raises BenchmarkError: when there are too few to tell
    """
    if len(samples) < FEWEST_SAMPLES:
        raise BenchmarkError(f'{len(samples)} samples of memory: expected {FEWEST_SAMPLES} or '
                             'more to tell growth from noise; choose more frames')
    frames, memory = np.transpose(samples)
    half = len(samples) // 2
    least = [float(part.min()) for part in np.array_split(memory[half:], _PARTS)]
    at_10_percent, at_50_percent, at_100_percent = (
        float(memory[np.searchsorted(frames, share * frames[-1])]) for share in (0.1, 0.5, 1.0))
    return MemoryGrowth(
        at_10_percent=at_10_percent, at_50_percent=at_50_percent, at_100_percent=at_100_percent,
        trend=float(np.median(np.diff(least))) * (_PARTS - 1), trend_tolerance=tolerance,
        rise=least[-1] - least[0], rise_tolerance=max(tolerance, _RISE_TOLERANCE * at_50_percent),
        frames=round(float(frames[-1] - frames[half]) * (1 - 1 / _PARTS)))
