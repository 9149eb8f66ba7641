# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Drives without labels to evaluate on: a recording, decoded once and held in memory."""

import dataclasses
import itertools
from typing import Iterator, Optional, Sequence

import numpy as np

from lvs_ros.datasets.drive import DriveFrame
from lvs_ros.datasets.footage import Footage, FootageFrame, spread_runs
from lvs_ros.errors import DatasetError
from lvs_ros.evaluation.dataset import Dataset, check_numbers, make_drive
from lvs_ros.labels import LabelSet

MOST_FRAMES, RUN_FRAMES = 1000, 150
"""Of a longer recording, so many frames are taken, in runs of so many that are spread over it."""

LONGEST_GAP = 10
"""Images that are missing between two of a drive, so many at most."""

MEMORY_BYTES = 2 << 30
"""For the images; of larger images, fewer are taken."""


@dataclasses.dataclass(frozen=True, eq=False)
class DecodedFrame(DriveFrame):
    """A frame in memory.

    :param image: (H, W, 3) uint8 RGB
    """

    image: np.ndarray = dataclasses.field(kw_only=True, repr=False)

    def load(self) -> tuple[np.ndarray, Optional[np.ndarray]]:
        """Return the image, and no labels."""
        return self.image, None


def of_footage(footage: Footage, label_set: LabelSet, *, limit: Optional[int] = None,
               rate_hz: Optional[float] = None) -> Dataset:
    """Return a recording as a data set; where time goes back or the size changes, a drive ends.

    :param label_set: of the model
    :param limit: take so many frames, from the first on; None = as many as fit, see
        :data:`MOST_FRAMES` and :data:`MEMORY_BYTES`
    :param rate_hz: let the frames arrive at this rate; None = at their own stamps
    :raises ConfigurationError: for a limit or rate that cannot be
    :raises DatasetError: when no two images of one size follow each other
    """
    check_numbers(limit, rate_hz)
    chosen = _chosen(footage, limit)
    frames = list(footage.frames(chosen))
    drives = tuple(make_drive(drive, rate_hz)
                   for drive in _drives(footage, frames))
    if all(len(drive.frames) < 2 for drive in drives):
        raise DatasetError(
            f'{footage.path}: {len(frames)} of its {len(footage)} images can be decoded, and no '
            'two of one size follow each other, so nothing can be propagated; expected '
            'consecutive images of a camera')
    told = [] if len(frames) == len(footage) else [
        f'{len(frames)} of the {len(footage)} images of {footage.name} are taken'
        + (f', {len(chosen) - len(frames)} cannot be decoded' if len(frames) < len(chosen)
           else '')
        + ('' if limit else '; --limit takes so many from the first on')]
    return Dataset(footage.name, label_set, drives, tuple(told))


def _chosen(footage: Footage, limit: Optional[int]) -> Sequence[int]:
    count = len(footage)
    if limit is not None:
        return range(min(limit, count))
    # The first that can be decoded tells how much memory one takes.
    first = next(iter(footage.frames(range(count))), None)
    fitting = count if first is None else MEMORY_BYTES // first.image.nbytes
    most = max(2, min(MOST_FRAMES, fitting))
    return sorted(spread_runs(count, most, run=RUN_FRAMES))


def _drives(footage: Footage, frames: Sequence[FootageFrame]
            ) -> Iterator[tuple[DecodedFrame, ...]]:
    """Cut frames into drives."""
    breaks = [place for place, (before, now) in enumerate(itertools.pairwise(frames), 1)
              if now.time_s <= before.time_s or now.image.shape != before.image.shape
              or now.number - before.number > LONGEST_GAP]
    for begin, end in itertools.pairwise([0, *breaks, len(frames)]):
        name = footage.name if not breaks else f'{footage.name} from {frames[begin].number}'
        yield tuple(DecodedFrame(name, frame.time_s, footage.path, image=frame.image)
                    for frame in frames[begin:end])
