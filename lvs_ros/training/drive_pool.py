# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Makes a frame pool of a labelled drive; what does not fit into memory stays on the disk."""

import dataclasses
import os
from typing import Iterator, Optional, Sequence

import cv2
import numpy as np
from tqdm import tqdm

from lvs_ros.datasets.drive import DriveFrame
from lvs_ros.labels import UNLABELLED
from lvs_ros.packed_mask import pack, unpack
from lvs_ros.training.frames import FramePool, HeldFrames, LazyFrames, read_threads
from lvs_ros.training.pool_options import PoolOptions, check_size, class_sample


def drive_pool(frames: Sequence[DriveFrame], options: PoolOptions) -> FramePool:
    """Make a pool of labelled frames.

    With a teacher their labels are never read, and its masks stand for them. Every labelled frame
    is read once, so that a broken one is found before the training begins.

    :raises DatasetError: naming the file that is missing or does not fit.
    """
    if options.teacher is not None:
        frames = [frame.without_labels() for frame in frames]
    height, width = options.scaled(frames[0].load()[0]).shape[:2]
    readers = [_Reader(frame, (height, width), options) for frame in frames]
    if options.fits(len(frames), height, width):
        return _held(readers, options)
    return _lazy(readers, options)


@dataclasses.dataclass(frozen=True)
class _Reader:
    """Reads one frame.

    :param size: (height, width) that it must have
    :param mask: the teacher's mask as a PNG file; None where there is no teacher
    """

    frame: DriveFrame
    size: tuple[int, int]
    options: PoolOptions
    mask: Optional[bytes] = None

    def load(self) -> tuple[np.ndarray, np.ndarray]:
        """Return image (H, W, 3) uint8 RGB and labels (H, W) uint8, all 255 where none are."""
        image, labels = self.frame.load()
        image = self.options.scaled(image)
        check_size(image, self.size, str(self.frame.image_path))
        if self.mask is not None:
            return image, unpack(self.mask)
        if labels is None:
            return image, np.full(self.size, UNLABELLED, np.uint8)
        return image, self.options.scaled(labels, cv2.INTER_NEAREST)


def _held(readers: Sequence[_Reader], options: PoolOptions) -> FramePool:
    images, labels = zip(*_loaded(readers, 'frames'))
    if options.teacher is not None:
        labels = tuple(options.teacher.mask(image) for image in tqdm(
            images, desc='masks', unit='frame', disable=None))
    return HeldFrames.of(zip(images, labels), *_clips_and_times(readers), device=options.device,
                         taught=options.teacher is not None)


def _lazy(readers: Sequence[_Reader], options: PoolOptions) -> FramePool:
    labelled = np.array([one.frame.label_path is not None for one in readers])
    if options.teacher is None:
        known = [one for one in readers if one.frame.label_path is not None]
        sample = [class_sample(labels) for _, labels in _loaded(known, 'checking labelled frames')]
    else:
        readers = [dataclasses.replace(one, mask=pack(options.teacher.mask(image)))
                   for one, (image, _) in zip(readers, _loaded(readers, 'masks'))]
        sample = [class_sample(unpack(one.mask)) for one in readers if one.mask is not None]
        labelled[:] = True
    return LazyFrames(
        [one.load for one in readers], *_clips_and_times(readers), labelled=labelled,
        taught=options.teacher is not None, size=readers[0].size, device=options.device,
        label_sample=np.stack(sample))


def _clips_and_times(readers: Sequence[_Reader]) -> tuple[list[str], list[float]]:
    return ([one.frame.sequence for one in readers], [one.frame.time_s for one in readers])


def _loaded(readers: Sequence[_Reader], what: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Read in order, a bounded number of frames ahead."""
    step = 2 * (os.cpu_count() or 1)
    with read_threads() as executor, tqdm(desc=what, total=len(readers), unit='frame',
                                          disable=None) as bar:
        for start in range(0, len(readers), step):
            for one in executor.map(_Reader.load, readers[start:start + step]):
                yield one
                bar.update()
