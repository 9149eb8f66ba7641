# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Warping as one kernel of a GPU, written in Triton: no copy of the features in float32."""

import torch
import triton
import triton.language as tl

from lvs_ros.backends.cuda.linear import hold_inside, load_between
from lvs_ros.backends.cuda.trial import reason_against
from lvs_ros.ops.warp import Warp, warp

_POSITIONS = 16    # for a block of threads
_CHANNELS = 64
_TRIED_SIZE = (5, 21)    # rows and columns: not a multiple of anything


@triton.jit(do_not_specialize=['height', 'width'])    # one compilation for all sizes
def warp_kernel(features, displacement, result, height, width,  # type: ignore[no-untyped-def]
                CHANNELS: tl.constexpr, POSITIONS: tl.constexpr, BLOCK: tl.constexpr):
    image = tl.program_id(2).to(tl.int64) * height * width
    positions = tl.program_id(0) * POSITIONS + tl.arange(0, POSITIONS)
    channels = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    is_position = positions < height * width
    is_result = is_position[:, None] & (channels < CHANNELS)[None, :]
    moved = displacement + 2 * image + positions
    x = positions % width + tl.load(moved, mask=is_position, other=0)
    y = positions // width + tl.load(moved + height * width, mask=is_position, other=0)
    # Whatever comes, nothing is read outside.
    x, y = hold_inside(x, width), hold_inside(y, height)
    top, left = y.to(tl.int32), x.to(tl.int32)
    bottom, right = tl.minimum(top + 1, height - 1), tl.minimum(left + 1, width - 1)
    weight_y, weight_x = (y - top)[:, None], (x - left)[:, None]
    above = features + (image + top.to(tl.int64) * width)[:, None] * CHANNELS
    below = features + (image + bottom.to(tl.int64) * width)[:, None] * CHANNELS
    at_left = left[:, None] * CHANNELS + channels[None, :]
    at_right = right[:, None] * CHANNELS + channels[None, :]
    value = (load_between(above + at_left, above + at_right, weight_x, is_result) * (1 - weight_y)
             + load_between(below + at_left, below + at_right, weight_x, is_result) * weight_y)
    results = (image + positions)[:, None] * CHANNELS + channels[None, :]
    tl.store(result + results, value.to(result.dtype.element_ty), mask=is_result)


class TritonWarp(Warp):
    """Stands in for :class:`~lvs_ros.ops.warp.Warp`; for inference on a GPU."""

    def forward(self, features: torch.Tensor, displacement: torch.Tensor) -> torch.Tensor:
        """See :func:`~lvs_ros.ops.warp.warp`; the result is channels last."""
        features = features.contiguous(memory_format=torch.channels_last)
        displacement = displacement.float().contiguous()
        batch, channels, height, width = features.shape
        result = torch.empty_like(features)
        grid = (triton.cdiv(height * width, _POSITIONS), triton.cdiv(channels, _CHANNELS), batch)
        with torch.cuda.device_of(features):    # Triton launches on the current one
            warp_kernel[grid](features, displacement, result, height, width, CHANNELS=channels,
                              POSITIONS=_POSITIONS, BLOCK=_CHANNELS)
        return result


def reason_against_warp(device: torch.device, dtype: torch.dtype, channels: int) -> str:
    """Compile the kernel for a kind of features, and compare it with torch.

    :return: why it cannot be used; '' = it can
    """
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, channels, *_TRIED_SIZE, generator=generator).to(device, dtype)
    displacement = torch.randn(1, 2, *_TRIED_SIZE, generator=generator).mul(4).to(device)
    # Torch's coordinates are rounded relative to the width, features to their type.
    return reason_against(lambda: TritonWarp()(features, displacement),
                          warp(features, displacement),
                          tolerance=8 * torch.finfo(dtype).eps + 1e-4)
