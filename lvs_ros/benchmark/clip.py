# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Moving images to measure with: a short drive, drawn or recorded, in memory, played to and fro.

Deviation and optical flow are those of a drive then, and nothing is drawn while frames are timed.
"""

from typing import NamedTuple, Optional, Sequence

import numpy as np

from lvs_ros.benchmark.errors import BenchmarkError
from lvs_ros.benchmark.progress import progress
from lvs_ros.datasets.footage import Footage, spread_runs
from lvs_ros.pipeline.frame import Frame
from lvs_ros.street import StreetScene

LENGTH = 16
"""Images of a clip, at most: a second of a camera at 15 Hz."""

_SEED = 185    # a street with traffic, that of the demo


def clip_frames(images: Sequence[np.ndarray], count: int, *, rate_hz: Optional[float]
                ) -> list[Frame]:
    """Play images to and fro, so that each frame is the neighbour of the one before.

    :param images: consecutive ones, (H, W, 3) uint8 RGB, at least two
    :param rate_hz: by which the stamps are spaced; None = all at once, each a nanosecond after
        the one before
    """
    around = [*images, *images[-2:0:-1]]
    step_ns = 1 if rate_hz is None else 1e9 / rate_hz
    return [Frame(around[number % len(around)], round(number * step_ns))
            for number in range(count)]


class RecordedClip(NamedTuple):
    """Consecutive images of a recording.

    :param images: (H, W, 3) uint8 RGB each, of one size
    :param rate_hz: images a second by the median of their spacing; None = they have no times
    """

    images: list[np.ndarray]
    rate_hz: Optional[float]


def recorded_clip(footage: Footage, *, length: int = LENGTH) -> RecordedClip:
    """Take images from the middle of a recording, at their own size.

    :raises BenchmarkError: when no two of one size follow each other there
    """
    frames = list(footage.frames(spread_runs(len(footage), length, run=length)))
    frames = [frame for frame in frames if frame.image.shape == frames[0].image.shape]
    if len(frames) < 2:
        raise BenchmarkError(
            f'{footage.path}: no two images of one size follow each other in the middle of its '
            f'{len(footage)} images; expected consecutive images of a camera')
    spacing_s = float(np.median(np.diff([frame.time_s for frame in frames])))
    return RecordedClip([frame.image for frame in frames],
                        1 / spacing_s if spacing_s > 0 else None)


def street_clip(size: tuple[int, int], *, rate_hz: float, length: int = LENGTH
                ) -> list[np.ndarray]:
    """Draw a drive along the synthetic street.

    :param size: (width, height) in pixels
    :return: consecutive images, (H, W, 3) uint8 RGB
    :raises ConfigurationError: when the street cannot be drawn at this size.
    """
    scene = StreetScene(seed=_SEED, width=size[0], height=size[1])
    with progress('drawing the street', length) as update:
        images = []
        for number in range(length):
            images.append(scene.render(number / rate_hz)[0])
            update()
    return images
