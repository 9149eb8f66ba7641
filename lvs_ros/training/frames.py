# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Training frames, held in memory on the training device.

CamVid and a few hundred street frames fit; a batch is then a gather, and every augmentation runs
on the device.
"""

import concurrent.futures
import dataclasses
import pathlib
from typing import Iterable

import numpy as np
import torch

from lvs_ros.data.camvid import list_camvid
from lvs_ros.data.street import StreetScene
from lvs_ros.errors import DatasetError

STREET_RATE_HZ = 15.0


@dataclasses.dataclass(frozen=True)
class FramePool:
    """Labelled frames of several clips.

    :param images: (N, H, W, 3) uint8 RGB
    :param labels: (N, H, W) uint8, 255 = unlabelled
    :param clips: name of the clip of each frame
    :param times_s: time of each frame within its clip, ascending
    """

    images: torch.Tensor
    labels: torch.Tensor
    clips: tuple[str, ...]
    times_s: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.clips)

    def batch(self, indices: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return images (B, 3, H, W) float32 0..255 and labels (B, H, W) uint8."""
        chosen = torch.from_numpy(indices).to(self.images.device)
        return self.images[chosen].permute(0, 3, 1, 2).float(), self.labels[chosen]

    def earlier(self, index: int, *, longest_s: float) -> range:
        """Indices of the frames of the same clip that are at most so much older."""
        first = index
        while (first > 0 and self.clips[first - 1] == self.clips[index]
               and self.times_s[index] - self.times_s[first - 1] <= longest_s + 1e-6):
            first -= 1
        return range(first, index)


def _pool(frames: Iterable[tuple[np.ndarray, np.ndarray]], clips: list[str],
          times_s: list[float], device: torch.device) -> FramePool:
    images, labels = zip(*frames)
    if len({image.shape for image in images}) > 1:
        raise DatasetError('the training images differ in size; expected one size for all')
    return FramePool(
        images=torch.from_numpy(np.stack(images)).to(device),
        labels=torch.from_numpy(np.stack(labels)).to(device),
        clips=tuple(clips), times_s=tuple(times_s))


def camvid_frames(folder: pathlib.Path, device: torch.device) -> FramePool:
    """Load a split of CamVid; its drives are the clips."""
    samples = list_camvid(folder)
    with concurrent.futures.ThreadPoolExecutor() as executor:
        frames = list(executor.map(lambda sample: sample.load(), samples))
    return _pool(frames, [sample.sequence for sample in samples],
                 [sample.time_s for sample in samples], device)


def _render_clip(seed: int, frames: int, width: int, height: int
                 ) -> list[tuple[np.ndarray, np.ndarray]]:
    scene = StreetScene(seed=seed, width=width, height=height)
    start_s = 100.0 * np.random.default_rng(seed).random()
    return [scene.render(start_s + index / STREET_RATE_HZ) for index in range(frames)]


def street_frames(device: torch.device, *, clips: int, frames: int, width: int, height: int,
                  seed: int) -> FramePool:
    """Render clips of the synthetic street, each of another street, at 15 Hz."""
    seeds = [seed + index for index in range(clips)]
    # OpenCV releases the interpreter while it draws, and threads need no pickling
    with concurrent.futures.ThreadPoolExecutor() as executor:
        rendered = list(executor.map(
            lambda one: _render_clip(one, frames, width, height), seeds))
    return _pool([frame for clip in rendered for frame in clip],
                 [f'street {one}' for one in seeds for _ in range(frames)],
                 [index / STREET_RATE_HZ for _ in seeds for index in range(frames)], device)
