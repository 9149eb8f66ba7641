# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Spatially variant convolution: every position has a kernel of its own (paper, section 3.2).

    F_h^t(l, i, j) = Σ_{u=-Δ..Δ} Σ_{v=-Δ..Δ} W_ij(u, v) · F_h^k(l, i - u, j - v),   Δ = ⌊H_K / 2⌋

with zeros outside the border. The kernels are shared by all channels, so the sum is H_K² scaled
additions of shifted slices of the features: no unfolded copy of them (H_K² times their size) is
made, neither here nor for the gradient.
"""

import math
from typing import Any, Iterator

import torch
from torch import nn
from torch.nn import functional

# Features of so many bytes are worked on at once on a CPU: they stay in its cache for all taps,
# and are enough for several threads.
_CHUNK_BYTES = 1 << 21


def spatially_variant_convolution(features: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    """Move and blend features by one kernel a position.

    :param features: (B, C, h, w) float, F_h of the key frame
    :param kernels: (B, K², h, w) float; channel (u + Δ) · K + (v + Δ) is W_ij(u, v)
    :return: (B, C, h, w), dtype of the features
    :raises ValueError: when the shapes do not fit or K is even.
    """
    check_shapes(features, kernels)
    if torch.is_grad_enabled() and (features.requires_grad or kernels.requires_grad):
        return _WithGradients.apply(features, kernels)
    return _forward(features, kernels)


def check_shapes(features: torch.Tensor, kernels: torch.Tensor) -> int:
    """Return the side of the kernels, H_K.

    :raises ValueError: when the shapes do not fit or K is even.
    """
    side = math.isqrt(kernels.shape[1])
    if side * side != kernels.shape[1] or side % 2 == 0:
        raise ValueError(f'{kernels.shape[1]} kernel taps: expected the square of an odd number')
    if features.shape[0] != kernels.shape[0] or features.shape[2:] != kernels.shape[2:]:
        raise ValueError(f'features {tuple(features.shape)} and kernels {tuple(kernels.shape)}: '
                         'expected equal batch, height and width')
    return side


class SpatiallyVariantConvolution(nn.Module):
    """:func:`spatially_variant_convolution` as a module."""

    def forward(self, features: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
        """See :func:`spatially_variant_convolution`."""
        return spatially_variant_convolution(features, kernels)


def _shifts(side: int, height: int, width: int) -> Iterator[tuple[int, slice, slice]]:
    # Tap (u, v) reads position (i - u, j - v); the padding of Δ moves it to (i - u + Δ, …).
    reach = side // 2
    for tap in range(side * side):
        u, v = tap // side - reach, tap % side - reach
        yield tap, slice(reach - u, reach - u + height), slice(reach - v, reach - v + width)


def _pad(x: torch.Tensor, side: int) -> torch.Tensor:
    reach = side // 2
    return functional.pad(x, (reach, reach, reach, reach))


def _forward(features: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    side = math.isqrt(kernels.shape[1])
    height, width = features.shape[2:]
    # 81 roundings to 16 bits would be visible in the labels; the sum is kept in float32.
    wide = torch.promote_types(features.dtype, torch.float32)
    source = _pad(features.to(wide).contiguous(), side)
    weights = kernels.to(wide)
    result = torch.zeros(features.shape, dtype=wide, device=features.device)
    for start, stop in _channel_chunks(features):
        part = result[:, start:stop]
        for tap, rows, columns in _shifts(side, height, width):
            part.addcmul_(source[:, start:stop, rows, columns], weights[:, tap:tap + 1])
    return result.to(features.dtype)


def _channel_chunks(features: torch.Tensor) -> Iterator[tuple[int, int]]:
    channels = features.shape[1]
    step = channels
    if features.device.type == 'cpu':
        plane = max(1, features[:, :1].numel() * features.element_size())
        step = max(1, _CHUNK_BYTES // plane)
    for start in range(0, channels, step):
        yield start, min(channels, start + step)


class _WithGradients(torch.autograd.Function):
    # Left to itself, autograd would keep all H_K² products.

    @staticmethod
    def forward(ctx: Any, features: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(features, kernels)
        return _forward(features, kernels)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features, kernels = ctx.saved_tensors
        side = math.isqrt(kernels.shape[1])
        height, width = features.shape[2:]
        wide = torch.promote_types(features.dtype, torch.float32)
        gradient = gradients[0].to(wide).contiguous()
        source = _pad(features.to(wide), side)
        to_source = torch.zeros_like(source)
        to_kernels = torch.empty(kernels.shape, dtype=wide, device=kernels.device)
        for tap, rows, columns in _shifts(side, height, width):
            to_source[:, :, rows, columns].addcmul_(
                gradient, kernels[:, tap:tap + 1].to(wide))
            torch.sum(gradient * source[:, :, rows, columns], 1, out=to_kernels[:, tap])
        reach = side // 2
        to_features = to_source[:, :, reach:reach + height, reach:reach + width]
        return to_features.to(features.dtype), to_kernels.to(kernels.dtype)
