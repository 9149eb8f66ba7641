# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The spatially variant convolution as one kernel of a GPU, written in Triton.

The sum over the columns of a kernel is a product of matrices: of 16 positions in a row of the
result, and the features of the positions that they can see in a row of the source,

    F_t(i, j) = Σ_u Σ_s A_u(j, s) · F_k(i - u, s),   A_u(j, s) = W_ij(u, j - s), 0 if |j - s| > Δ.

Most of A is zeros, but a GPU multiplies matrices of 16 bits more than ten times as fast as single
numbers. A is put together from the kernels where it is needed; sums are kept in float32.
"""

import math
import warnings

import torch
import triton
import triton.language as tl

from lvs_ros.ops.spatially_variant_convolution import (SpatiallyVariantConvolution,
                                                       spatially_variant_convolution)

_POSITIONS = 16    # the smallest matrix that can be multiplied
_CHANNELS = 64     # of a block of threads
_CHECKED_SIZE = (5, 21)    # rows and columns: not a multiple of anything


@triton.jit(do_not_specialize=['height', 'width'])    # nothing to compile for another image
def _kernel(features, kernels, result, height, width,  # type: ignore[no-untyped-def]
            CHANNELS: tl.constexpr, SIDE: tl.constexpr, POSITIONS: tl.constexpr,
            SOURCES: tl.constexpr, BLOCK: tl.constexpr):
    reach: tl.constexpr = SIDE // 2
    blocks: tl.constexpr = (CHANNELS + BLOCK - 1) // BLOCK
    first, row = tl.program_id(0) * POSITIONS, tl.program_id(1).to(tl.int64)
    image = (tl.program_id(2) // blocks).to(tl.int64)
    channels = tl.program_id(2) % blocks * BLOCK + tl.arange(0, BLOCK)
    places = first + tl.arange(0, POSITIONS)
    sources = first - reach + tl.arange(0, SOURCES)
    columns = places[:, None] - sources[None, :] + reach
    is_tap = (columns >= 0) & (columns < SIDE) & (places < width)[:, None]
    is_channel = (channels < CHANNELS)[None, :]
    is_source = ((sources >= 0) & (sources < width))[:, None] & is_channel
    image_at = image * height * width
    taps_at = kernels + (image_at + row * width + places[:, None]) * (SIDE * SIDE) + columns
    sources_at = features + (image_at + sources[:, None]) * CHANNELS + channels[None, :]
    total = tl.full((POSITIONS, BLOCK), 0, tl.float32)
    for line in range(SIDE):
        source_row = row - (line - reach)
        if (source_row >= 0) & (source_row < height):
            taps = tl.load(taps_at + line * SIDE, mask=is_tap, other=0)
            values = tl.load(sources_at + source_row * width * CHANNELS, mask=is_source, other=0)
            total = tl.dot(taps, values, total, input_precision='ieee')
    results_at = result + (image_at + row * width + places[:, None]) * CHANNELS + channels[None, :]
    tl.store(results_at, total.to(result.dtype.element_ty),
             mask=(places < width)[:, None] & is_channel)


def convolve(features: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    """Do the same as
    :func:`~lvs_ros.ops.spatially_variant_convolution.spatially_variant_convolution`.

    :param features: (B, C, h, w) float, on a GPU
    :param kernels: (B, K², h, w), of the same kind
    :return: (B, C, h, w), channels last
    """
    features = features.contiguous(memory_format=torch.channels_last)
    kernels = kernels.contiguous(memory_format=torch.channels_last)
    batch, channels, height, width = features.shape
    side = math.isqrt(kernels.shape[1])
    result = torch.empty_like(features)
    grid = (triton.cdiv(width, _POSITIONS), height, batch * triton.cdiv(channels, _CHANNELS))
    with torch.cuda.device_of(features):    # Triton launches on the current one
        _kernel[grid](features, kernels, result, height, width, **_sizes(channels, side))
    return result


def _sizes(channels: int, side: int) -> dict[str, int]:
    return {'CHANNELS': channels, 'SIDE': side, 'POSITIONS': _POSITIONS, 'BLOCK': _CHANNELS,
            'SOURCES': triton.next_power_of_2(_POSITIONS + side - 1)}


class TritonSpatiallyVariantConvolution(SpatiallyVariantConvolution):
    """:func:`convolve` as a module; for inference on a GPU."""

    def forward(self, features: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
        """See :func:`convolve`."""
        return convolve(features, kernels)


def can_be_used(device: torch.device, dtype: torch.dtype, channels: int, side: int) -> bool:
    """Compile :func:`convolve` for a kind of features, and compare it with the reference.

    Warns where it cannot be compiled or computes something else.

    :param channels: C of the features
    :param side: H_K
    """
    generator = torch.Generator().manual_seed(0)
    features, kernels = (
        torch.randn(1, count, *_CHECKED_SIZE, generator=generator).to(device, dtype)
        for count in (channels, side * side))
    try:
        expected = spatially_variant_convolution(features, kernels)
        error = float((convolve(features, kernels) - expected).abs().max())
        # At most: the sums are of order H_K, and rounded to the dtype once.
        is_right = error < 8 * side * torch.finfo(dtype).eps + 1e-5
        reason = '' if is_right else f'its results are {error:g} off'
    except Exception as failure:  # noqa: B902: whatever it is, there is another way
        is_right, reason = False, (f'{type(failure).__name__}: {failure}; it is compiled where it '
                                   'runs, with the help of a C compiler')
    if not is_right:
        warnings.warn(f'the spatially variant convolution takes longer on {device}: its Triton '
                      f'kernel cannot be used ({reason})')
    return is_right
