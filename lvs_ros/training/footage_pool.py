# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Makes a frame pool of a drive without labels: the full network's masks are its labels.

Footage cannot be read out of order: what does not fit into memory is kept there compressed.
"""

from typing import Union

import numpy as np
import torch
from tqdm import tqdm

from lvs_ros.datasets.footage import Footage, spread_runs
from lvs_ros.errors import DatasetError
from lvs_ros.training.compressed_frame import CompressedFrame
from lvs_ros.training.frames import FramePool, HeldFrames, LazyFrames, read_threads
from lvs_ros.training.pool_options import PoolOptions, check_size, class_sample

Kept = Union[tuple[np.ndarray, np.ndarray], CompressedFrame]


def footage_pool(footage: Footage, options: PoolOptions, *, limit: int) -> FramePool:
    """Decode a drive and let the teacher label it.

    :param limit: frames of it at most, in runs spread over the drive; 0 = all
    :raises RecordingError: naming the file that cannot be read
    :raises DatasetError: when no image can be decoded, or they differ in size.
    """
    if options.teacher is None:
        raise ValueError('footage needs a teacher')
    chosen = spread_runs(len(footage), limit)
    kept: list[Kept] = []
    sample: list[np.ndarray] = []
    times_s: list[float] = []
    size: tuple[int, ...] = ()
    for time_s, image, name in tqdm(footage.frames(chosen), total=len(chosen), unit='frame',
                                    desc=f'masks of {footage.path.name}', disable=None):
        image = options.scaled(image)
        size = size or image.shape[:2]
        check_size(image, size, name)
        mask = options.teacher.mask(image)
        held = options.fits(len(chosen), *size)
        kept.append((image, mask) if held else CompressedFrame.of(image, mask))
        sample.append(class_sample(mask))
        times_s.append(time_s)
    if not kept:
        raise DatasetError(f'{footage.path}: none of its images can be decoded; "lvs replay" says '
                           'what is wrong with them')
    if len(kept) < len(chosen):
        print(f'{footage.path}: {len(chosen) - len(kept)} images cannot be decoded; left out')
    return _pool(kept, _clips(str(footage.path), times_s), times_s, sample, options.device)


def _clips(path: str, times_s: list[float]) -> list[str]:
    """Name the clips: where time goes back, a recording began again."""
    back = np.diff(times_s, prepend=times_s[0] - 1) <= 0
    return [f'{path} {number}' for number in np.cumsum(back)]


def _pool(kept: list[Kept], clips: list[str], times_s: list[float], sample: list[np.ndarray],
          device: torch.device) -> FramePool:
    compressed = [one for one in kept if isinstance(one, CompressedFrame)]
    if compressed:
        return LazyFrames(
            [one.load for one in compressed], clips, times_s, taught=True,
            labelled=np.ones(len(kept), bool), size=compressed[0].load()[1].shape, device=device,
            label_sample=np.stack(sample), executor=read_threads())
    return HeldFrames.of((one for one in kept if not isinstance(one, CompressedFrame)),
                         clips, times_s, device=device, taught=True)
