# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Draws training batches from CamVid and the synthetic street."""

import dataclasses

import numpy as np
import torch

from lvs_ros.training.augment import (CropRange, grid_of, look, pixel_points, random_blur,
                                      random_light, random_views, relight)
from lvs_ros.training.frames import FramePool
from lvs_ros.training.motion import random_motion


@dataclasses.dataclass(frozen=True)
class Clip:
    """A batch of short clips: the frames of each, oldest first, and the labels of the newest.

    :param images: each (B, 3, H, W) float32 0..255
    :param labels: (B, H, W) int64, of the newest frame
    """

    images: tuple[torch.Tensor, ...]
    labels: torch.Tensor


class Sampler:
    """Random batches of augmented frames and clips.

    :param real: CamVid; :param street: the synthetic street, or None
    :param street_share: fraction of the batches' frames that come from the street
    :param crop: (height, width) of the batches
    """

    def __init__(self, real: FramePool, street: FramePool | None, *, street_share: float,
                 crop: tuple[int, int], seed: int) -> None:
        self._real, self._street = real, street
        self._street_share = street_share if street is not None else 0.0
        self._crop = crop
        self._random = np.random.default_rng(seed)
        self.device = real.images.device

    def frames(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Frames that stand alone: images (B, 3, H, W), labels (B, H, W) int64."""
        with self._exact():
            return self._frames(count)

    def clip(self, count: int, *, longest_s: float = 0.8) -> Clip:
        """Clips of three frames: synthetic camera motion on CamVid, or real time on the street."""
        with self._exact():
            if self._street is not None and self._random.random() < self._street_share:
                return self._street_clip(self._street, count, longest_s)
            return self._moved_clip(count)

    def _exact(self) -> torch.autocast:
        # In mixed precision, sampling coordinates would be rounded to about two pixels.
        return torch.autocast(self.device.type, enabled=False)

    def _frames(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        from_street = int(self._random.binomial(count, self._street_share))
        images, labels = self._mixed(count - from_street, from_street)
        height, width = self._crop
        views = random_views(count, height, width, self.device, CropRange())
        seen, ids = look(images, labels, grid_of(views, pixel_points(
            count, height, width, self.device)))
        seen = relight(seen, random_light(count, self.device, strength=1.0))
        return random_blur(seen, probability=0.3), ids

    def _mixed(self, real: int, street: int) -> tuple[torch.Tensor, torch.Tensor]:
        parts = [self._real.batch(self._random.integers(len(self._real), size=real))]
        if self._street is not None and street:
            parts.append(self._street.batch(
                self._random.integers(len(self._street), size=street)))
        return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])

    def _moved_clip(self, count: int) -> Clip:
        images, labels = self._mixed(count, 0)
        height, width = self._crop
        views = random_views(count, height, width, self.device, CropRange(zoom=(1.0, 1.7)))
        points = pixel_points(count, height, width, self.device)
        newest, ids = look(images, labels, grid_of(views, points))
        motion = random_motion(ids)
        middle = 0.2 + 0.6 * float(self._random.random())
        older = [look(images, labels, grid_of(views, motion.back(points, fraction)))[0]
                 for fraction in (1.0, middle)]
        return Clip(self._light([*older, newest]), ids)

    def _street_clip(self, street: FramePool, count: int, longest_s: float) -> Clip:
        newest = self._random.integers(len(street), size=count)
        oldest, middle = newest.copy(), newest.copy()
        for row, index in enumerate(newest):
            choices = street.earlier(int(index), longest_s=longest_s)
            if choices:
                oldest[row] = self._random.choice(choices)
                middle[row] = self._random.integers(oldest[row], index + 1)
        height, width = self._crop
        views = random_views(count, height, width, self.device, CropRange(zoom=(1.0, 1.7)))
        grid = grid_of(views, pixel_points(count, height, width, self.device))
        seen = [look(*street.batch(indices), grid) for indices in (oldest, middle, newest)]
        return Clip(self._light([images for images, _ in seen]), seen[-1][1])

    def _light(self, images: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        # one light for the clip, with a little of its own for each frame: cameras adjust exposure
        count = len(images[0])
        light = random_light(count, self.device, strength=0.8)
        return tuple(
            random_blur(relight(frame, light + random_light(count, self.device, strength=0.08)),
                        probability=0.1) for frame in images)
