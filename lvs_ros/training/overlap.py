# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Finds frames that are held out among those that would be trained on."""

import hashlib
import pathlib
from typing import Sequence

import numpy as np
import torch
from torch.nn import functional

from lvs_ros.training.frames import FramePool
from lvs_ros.training.held_out import GAP_S

_THUMBNAIL = (24, 32)    # height, width
_SAME = 2.0    # of 255: what coding changes in the mean of a thumbnail


def same_files(paths: Sequence[pathlib.Path], others: Sequence[pathlib.Path]
               ) -> list[pathlib.Path]:
    """Return those of ``paths`` whose content some of the others have, too."""
    by_size: dict[int, set[bytes]] = {}
    sizes = {path.stat().st_size for path in paths}
    for path in others:
        size = path.stat().st_size
        if size in sizes:    # else nothing has to be read
            by_size.setdefault(size, set()).add(_digest(path))
    return [path for path in paths if (size := path.stat().st_size) in by_size
            and _digest(path) in by_size[size]]


def _digest(path: pathlib.Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def apart_from(pool: FramePool, held: Sequence[FramePool]) -> np.ndarray:
    """Choose the frames of footage that do not show what is held out, however it is coded.

    :return: (M,) int64, indices of the frames that are neither held out nor within
        :data:`~lvs_ros.training.held_out.GAP_S` of one that is
    """
    known = torch.cat([_thumbnails(one) for one in held])
    own = _thumbnails(pool)
    is_same = torch.cat([(one - known).abs().mean(1).min()[None] < _SAME for one in own]).numpy()
    apart = np.ones(len(pool), bool)
    times_s, clips = np.array(pool.times_s), np.array(pool.clips)
    for index in np.flatnonzero(is_same):
        apart &= (clips != clips[index]) | (np.abs(times_s - times_s[index]) > GAP_S)
    return np.flatnonzero(apart)


def _thumbnails(pool: FramePool) -> torch.Tensor:
    """Return (N, pixels) float32, grey, on the CPU."""
    return torch.cat([functional.adaptive_avg_pool2d(
        pool.request(np.array([index]))()[0].mean(1, keepdim=True), _THUMBNAIL).flatten(1).cpu()
        for index in range(len(pool))])
