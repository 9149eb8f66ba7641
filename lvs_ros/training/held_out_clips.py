# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The frames and short clips that are measured on: the same ones at every validation."""

from typing import Callable, Iterator, NamedTuple, Sequence

import numpy as np
import torch

from lvs_ros.training.augment import look, pixel_points
from lvs_ros.training.frames import FramePool
from lvs_ros.training.motion import random_motion
from lvs_ros.training.sampling import Clip

MOST_FRAMES = 500
"""More held-out frames than these are thinned out evenly."""
LONGEST_S = 0.8


class _Place(NamedTuple):
    """A labelled frame: its pool, its place there, its number among those that are measured."""

    pool: FramePool
    frame: int
    number: int


class HeldOutClips:
    """Labelled frames, alone or with two before them; as they are, not augmented.

    :param pools: of what is held out
    """

    def __init__(self, pools: Sequence[FramePool]) -> None:
        places = [(pool, int(frame)) for pool in pools for frame in np.flatnonzero(pool.labelled)]
        chosen = np.unique(np.linspace(0, len(places) - 1, min(len(places), MOST_FRAMES)).round()
                           .astype(int))
        self._places = [_Place(places[one][0], places[one][1], number)
                        for number, one in enumerate(chosen)]
        self.told = (f'measured on {len(chosen)} of the {len(places)} held-out frames, spread '
                     'evenly',) if len(chosen) < len(places) else ()

    def __len__(self) -> int:
        return len(self._places)

    @property
    def taught(self) -> bool:
        """Whether the labels are masks of the full network, and not an annotator's."""
        return self._places[0].pool.taught

    @property
    def real(self) -> int:
        """How many clips are in real time; in the others, motion is made up."""
        return sum(bool(one.pool.earlier(one.frame, longest_s=LONGEST_S)) for one in self._places)

    def frames(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield images (1, 3, H, W) float32, channels last, and labels (1, H, W) int64."""
        for images, labels in _read_ahead([
                lambda one=one: one.pool.request(np.array([one.frame])) for one in self._places]):
            yield _as_input(images), labels.long()

    def clips(self) -> Iterator[Clip]:
        """Yield clips of one sample: real time, or the same made-up camera motion every time."""
        for one, (images, labels) in zip(self._places, _read_ahead([
                lambda one=one: one.pool.request(_three(one)) for one in self._places])):
            if len(images) == 3:
                yield Clip(tuple(_as_input(image[None]) for image in images), labels[-1:].long())
            else:
                yield _moved(images, labels.long(), one.number)


def _three(place: _Place) -> np.ndarray:
    """Return oldest, middle and newest frame; the distance differs from clip to clip."""
    earlier = place.pool.earlier(place.frame, longest_s=LONGEST_S)
    if not earlier:
        return np.array([place.frame])
    oldest = earlier[place.number % len(earlier)]
    return np.array([oldest, (oldest + place.frame) // 2, place.frame])


def _moved(images: torch.Tensor, labels: torch.Tensor, number: int) -> Clip:
    device = images.device
    with torch.random.fork_rng([device] if device.type == 'cuda' else []):
        torch.manual_seed(number)
        motion = random_motion(labels)
    points = pixel_points(1, labels.shape[1], labels.shape[2], device)
    with torch.autocast(device.type, enabled=False):    # 16 bits would round the coordinates
        older = [look(images, labels, motion.back(points, fraction))[0] for fraction in (1.0, 0.5)]
    return Clip(tuple(map(_as_input, (*older, images))), labels)


def _as_input(images: torch.Tensor) -> torch.Tensor:
    return images.contiguous(memory_format=torch.channels_last)


def _read_ahead(requests: Sequence[Callable]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Read the next one while the present one is used."""
    waiting = requests[0]()
    for request in requests[1:]:
        following = request()
        yield waiting()
        waiting = following
    yield waiting()
