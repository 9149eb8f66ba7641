# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Makes a frame pool of a drive without labels: the full network's masks are its labels.

Footage cannot be read out of order: what does not fit into memory is kept there compressed.
"""

import numpy as np
from tqdm import tqdm

from lvs_ros.datasets.footage import Footage, spread_runs
from lvs_ros.errors import DatasetError
from lvs_ros.training.compressed_frame import compressed
from lvs_ros.training.frames import FramePool, HeldFrames, LazyFrames, Loader
from lvs_ros.training.pool_options import PoolOptions, check_size, class_sample


def footage_pool(footage: Footage, options: PoolOptions, *, limit: int) -> FramePool:
    """Decode a drive and let the teacher label it.

    :param limit: frames of it at most, in runs spread over the drive; 0 = all
    :raises RecordingError: naming the file that cannot be read
    :raises DatasetError: when no image can be decoded, or they differ in size.
    """
    if options.teacher is None:
        raise ValueError('footage needs a teacher')
    chosen = spread_runs(len(footage), limit)
    held: list[tuple[np.ndarray, np.ndarray]] = []
    lazy: list[Loader] = []
    sample: list[np.ndarray] = []
    times_s: list[float] = []
    size = (0, 0)
    for time_s, image, name, _ in tqdm(footage.frames(chosen), total=len(chosen), unit='frame',
                                       desc=f'masks of {footage.path.name}', disable=None):
        image = options.scaled(image)
        if not times_s:
            size = image.shape[:2]
        check_size(image, size, name)
        mask = options.teacher.mask(image)
        if options.fits(len(chosen), *size):
            held.append((image, mask))
        else:
            lazy.append(compressed(image, mask))
        sample.append(class_sample(mask))
        times_s.append(time_s)
    if not times_s:
        raise DatasetError(f'{footage.path}: none of its images can be decoded; "lvs replay" says '
                           'what is wrong with them')
    if len(times_s) < len(chosen):
        print(f'{footage.path}: {len(chosen) - len(times_s)} images cannot be decoded; left out')
    clips = _clips(str(footage.path), times_s)
    if held:
        return HeldFrames.of(held, clips, times_s, device=options.device, taught=True)
    return LazyFrames(lazy, clips, times_s, taught=True, labelled=np.ones(len(clips), bool),
                      size=size, device=options.device, label_sample=np.stack(sample))


def _clips(path: str, times_s: list[float]) -> list[str]:
    """Name the clips: where time goes back, a recording began again."""
    back = np.diff(times_s, prepend=times_s[0] - 1) <= 0
    return [f'{path} {number}' for number in np.cumsum(back)]
