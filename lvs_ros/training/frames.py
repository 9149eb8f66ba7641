# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Pools of training frames: what a sampler draws its batches from.

A pool that fits is held on the training device, where a batch is a gather
(:class:`HeldFrames`); of one that does not, batches are read by threads ahead of their use
(:class:`LazyFrames`).
"""

import abc
import concurrent.futures
import os
from typing import Callable, Iterable, Sequence

import numpy as np
import torch

from lvs_ros.labels import UNLABELLED

Batch = tuple[torch.Tensor, torch.Tensor]
"""Images (B, 3, H, W) float32 0..255 and labels (B, H, W) uint8, on the training device."""

# Stamps are rounded: a frame that is just as old as allowed must count.
_ROUNDING_S = 1e-6


class FramePool(abc.ABC):
    """Frames of several clips, with labels where they have some.

    :param clips: name of the clip of each frame; the frames of a clip follow each other
    :param times_s: time of each frame within its clip, ascending
    :param labelled: (N,) bool, whether a frame has labels at all
    :param taught: the labels are masks of the full network, not an annotator's
    :param size: (height, width) of all frames
    :param label_sample: (M, h, w) uint8, labels to count the classes in, of all frames or of the
        labelled ones; on the device where batches are wanted
    """

    def __init__(self, clips: Sequence[str], times_s: Sequence[float], *, labelled: np.ndarray,
                 taught: bool, size: tuple[int, int], label_sample: torch.Tensor) -> None:
        self.clips, self.times_s = tuple(clips), tuple(times_s)
        self.labelled, self.taught, self.size = labelled, taught, size
        self.label_sample, self.device = label_sample, label_sample.device
        self._with_earlier: dict[float, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.clips)

    @abc.abstractmethod
    def request(self, indices: np.ndarray) -> Callable[[], Batch]:
        """Begin to read a batch; the call of what is returned waits for it."""

    @abc.abstractmethod
    def subset(self, indices: np.ndarray) -> 'FramePool':
        """Return a pool of some of the frames, which knows nothing of the others.

        :param indices: (M,) int64, ascending
        """

    def earlier(self, index: int, *, longest_s: float) -> range:
        """Indices of the frames of the same clip that are at most so much older."""
        first = index
        while (first > 0 and self.clips[first - 1] == self.clips[index]
               and self.times_s[index] - self.times_s[first - 1] <= longest_s + _ROUNDING_S):
            first -= 1
        return range(first, index)

    def with_earlier(self, longest_s: float) -> np.ndarray:
        """Indices, (M,) int64, of the frames for which :meth:`earlier` is not empty."""
        if longest_s not in self._with_earlier:
            self._with_earlier[longest_s] = np.array(
                [index for index in range(len(self)) if self.earlier(index, longest_s=longest_s)],
                np.int64)
        return self._with_earlier[longest_s]


class HeldFrames(FramePool):
    """Frames held in memory on the training device.

    :param images: (N, H, W, 3) uint8 RGB
    :param labels: (N, H, W) uint8, 255 = unlabelled
    """

    def __init__(self, images: torch.Tensor, labels: torch.Tensor, clips: Sequence[str],
                 times_s: Sequence[float], *, taught: bool = False) -> None:
        super().__init__(
            clips, times_s, taught=taught, label_sample=labels,
            labelled=(labels != UNLABELLED).flatten(1).any(1).cpu().numpy(),
            size=(images.shape[1], images.shape[2]))
        self._images, self._labels = images, labels

    @classmethod
    def of(cls, frames: Iterable[tuple[np.ndarray, np.ndarray]], clips: Sequence[str],
           times_s: Sequence[float], *, device: torch.device, taught: bool = False
           ) -> 'HeldFrames':
        """Put frames on a device.

        :param frames: images (H, W, 3) uint8 RGB with labels (H, W) uint8
        """
        return cls(*_stacked(frames, device), clips, times_s, taught=taught)

    def request(self, indices: np.ndarray) -> Callable[[], Batch]:
        chosen = torch.from_numpy(indices).to(self.device)
        return lambda: (self._images[chosen].permute(0, 3, 1, 2).float(), self._labels[chosen])

    def subset(self, indices: np.ndarray) -> 'HeldFrames':
        chosen = torch.from_numpy(indices).to(self.device)
        return HeldFrames(
            self._images[chosen], self._labels[chosen], [self.clips[one] for one in indices],
            [self.times_s[one] for one in indices], taught=self.taught)


Loader = Callable[[], tuple[np.ndarray, np.ndarray]]
"""Reads a frame: image (H, W, 3) uint8 RGB and labels (H, W) uint8. Called in any thread."""


class LazyFrames(FramePool):
    """Frames that are read when a batch needs them, by threads.

    :param loaders: one a frame
    :param label_sample: (M, h, w) uint8, some of the labels of each labelled frame
    """

    def __init__(self, loaders: Sequence[Loader], clips: Sequence[str], times_s: Sequence[float],
                 *, labelled: np.ndarray, taught: bool, size: tuple[int, int],
                 device: torch.device, label_sample: np.ndarray) -> None:
        super().__init__(clips, times_s, labelled=labelled, taught=taught, size=size,
                         label_sample=torch.from_numpy(label_sample).to(device))
        self._loaders, self._executor = tuple(loaders), read_threads()

    def request(self, indices: np.ndarray) -> Callable[[], Batch]:
        futures = [self._executor.submit(self._loaders[index]) for index in indices]

        def batch() -> Batch:
            images, labels = _stacked((future.result() for future in futures), self.device)
            return images.permute(0, 3, 1, 2).float(), labels

        return batch

    def subset(self, indices: np.ndarray) -> 'LazyFrames':
        # the sample has rows of the labelled frames only
        rows = (np.cumsum(self.labelled) - 1)[indices[self.labelled[indices]]]
        return LazyFrames(
            [self._loaders[one] for one in indices], [self.clips[one] for one in indices],
            [self.times_s[one] for one in indices], labelled=self.labelled[indices],
            taught=self.taught, size=self.size, device=self.device,
            label_sample=self.label_sample.cpu().numpy()[rows])


def _stacked(frames: Iterable[tuple[np.ndarray, np.ndarray]], device: torch.device
             ) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (N, H, W, 3) uint8 and labels (N, H, W) uint8 on the device."""
    images, labels = zip(*frames)
    return (torch.from_numpy(np.stack(images)).to(device),
            torch.from_numpy(np.stack(labels)).to(device))


def read_threads() -> concurrent.futures.ThreadPoolExecutor:
    """Make threads that read frames: decoding releases the interpreter."""
    return concurrent.futures.ThreadPoolExecutor(os.cpu_count(), thread_name_prefix='frames')
