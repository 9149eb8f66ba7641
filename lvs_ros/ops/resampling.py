# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Pooling and bilinear upsampling of feature maps; on a GPU as two small matrix products.

Torch's own kernels add up in the type of the tensor, which in 16 bits loses most of a sum: the
gradient of one pooled value is the sum over all positions. Matrix products add up in float32, and
are many times as fast there.
"""

import functools

import torch
from torch.nn import functional


def average_pool(x: torch.Tensor, size: int) -> torch.Tensor:
    """:func:`torch.nn.functional.adaptive_avg_pool2d`: (B, C, h, w) → (B, C, size, size)."""
    if x.device.type != 'cuda':
        return functional.adaptive_avg_pool2d(x, size)
    return by_matrices(x, *(pooling_matrix(side, size, x.device, x.dtype)
                            for side in x.shape[2:]))


def interpolate(x: torch.Tensor, height: int, width: int, *, align_corners: bool) -> torch.Tensor:
    """Bilinear :func:`torch.nn.functional.interpolate`: (B, C, h, w) → (B, C, height, width)."""
    if x.device.type != 'cuda':
        return functional.interpolate(x, (height, width), mode='bilinear',
                                      align_corners=align_corners)
    return by_matrices(x, *(interpolating_matrix(side, wanted, align_corners, x.device, x.dtype)
                            for side, wanted in zip(x.shape[2:], (height, width))))


def by_matrices(x: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Resample both sides.

    :param x: (B, C, h, w)
    :param rows: (H, h), in the type of ``x``
    :param columns: (W, w), the same
    :return: (B, C, H, W), in type and layout of ``x``
    """
    batch, channels, height, width = x.shape
    with torch.autocast(x.device.type, enabled=False):
        if x.is_contiguous():
            return rows @ (x @ columns.T)
        y = rows @ x.permute(0, 2, 3, 1).reshape(batch, height, width * channels)
        y = columns @ y.view(batch * len(rows), width, channels)
    return y.view(batch, len(rows), len(columns), channels).permute(0, 3, 1, 2)


@functools.lru_cache(maxsize=64)
def pooling_matrix(side: int, size: int, device: torch.device, dtype: torch.dtype
                   ) -> torch.Tensor:
    """What pooling does to one side: (size, side)."""
    with torch.inference_mode(False):
        matrix = functional.adaptive_avg_pool1d(torch.eye(side)[None], size)[0]
        return matrix.T.contiguous().to(device, dtype)


@functools.lru_cache(maxsize=64)
def interpolating_matrix(side: int, size: int, align_corners: bool, device: torch.device,
                         dtype: torch.dtype) -> torch.Tensor:
    """What interpolating does to one side: (size, side)."""
    with torch.inference_mode(False):
        matrix = functional.interpolate(torch.eye(side)[None], size, mode='linear',
                                        align_corners=align_corners)[0]
        return matrix.T.contiguous().to(device, dtype)
