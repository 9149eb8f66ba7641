# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Moving images to measure with: a short drive, in memory, played to and fro.

Deviation and optical flow are those of a drive then, and nothing is drawn, read or decoded while
frames are timed.
"""

import dataclasses
import pathlib
from typing import Optional

import cv2
import numpy as np

from lvs_ros.benchmark.errors import BenchmarkError
from lvs_ros.benchmark.progress import progress
from lvs_ros.datasets.footage import open_footage
from lvs_ros.pipeline import Frame
from lvs_ros.street import StreetScene

LENGTH = 16
"""Images of a clip, at most: a second of a camera at 15 Hz."""

_SEED = 185    # a street with traffic, that of the demo
_LEAST = 2


@dataclasses.dataclass(frozen=True)
class Clip:
    """Consecutive images of one size.

    :param name: where they come from
    :param images: (H, W, 3) uint8 RGB, at least two
    """

    name: str
    images: tuple[np.ndarray, ...]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.images[0].shape[1], self.images[0].shape[0]

    def frames(self, count: int, *, rate_hz: Optional[float]) -> list[Frame]:
        """Play the images to and fro, so that each frame is the neighbour of the one before.

        :param rate_hz: by which the stamps are spaced; None = all at once, each a nanosecond after
            the one before
        """
        there = list(self.images)
        around = there + there[-2:0:-1]
        step_ns = 1 if rate_hz is None else 1e9 / rate_hz
        return [Frame(around[number % len(around)], round(number * step_ns))
                for number in range(count)]


def street_clip(size: tuple[int, int], *, rate_hz: float, length: int = LENGTH) -> Clip:
    """Draw a drive along the synthetic street.

    :param size: (width, height) in pixels
    :raises ConfigurationError: when the street cannot be drawn at this size.
    """
    scene = StreetScene(seed=_SEED, width=size[0], height=size[1])
    with progress('drawing the street', length) as update:
        images = []
        for number in range(length):
            images.append(scene.render(number / rate_hz)[0])
            update()
    return Clip('synthetic street', tuple(images))


def recorded_clip(path: pathlib.Path, *, size: Optional[tuple[int, int]],
                  topic: Optional[str] = None, length: int = LENGTH) -> Clip:
    """Read the first images of a recording, a folder of images or a video file.

    :param size: (width, height) to scale to; None = as they are
    :raises LvsError: naming the file, when it cannot be read.
    """
    footage = open_footage(path, topic=topic)
    images = [_scaled(frame.image, size) for frame in footage.frames(range(length))]
    sizes = {image.shape for image in images}
    if len(images) < _LEAST or len(sizes) > 1:
        found = f'{len(images)} of its first {length} images can be decoded' \
            if len(images) < _LEAST else 'its images differ in size'
        raise BenchmarkError(f'{path}: {found}; expected at least {_LEAST}, of one size')
    return Clip(path.resolve().name, tuple(images))


def _scaled(image: np.ndarray, size: Optional[tuple[int, int]]) -> np.ndarray:
    if size is None or image.shape[1::-1] == size:
        return image
    shrinks = size[0] < image.shape[1] and size[1] < image.shape[0]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
