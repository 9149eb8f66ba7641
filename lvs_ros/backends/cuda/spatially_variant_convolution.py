# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The spatially variant convolution as one kernel of a GPU, written in Triton.

The sum over the columns of a kernel is a product of matrices: of 16 positions in a row of the
result, and the features of the positions that they can see in a row of the source,

    F_t(i, j) = Σ_u Σ_s A_u(j, s) · F_k(i - u, s),   A_u(j, s) = W_ij(u, j - s), 0 if |j - s| > Δ.

Most of A is zeros, but a GPU multiplies matrices of 16 bits more than ten times as fast as single
numbers. A is put together from the kernels where it is needed; sums are kept in float32.

A block of threads computes several rows of the result, and reads a row of the source once for all
of them: their matrices A lie one below the other.
"""

import math

import torch
import triton
import triton.language as tl

from lvs_ros.backends.cuda.trial import reason_against
from lvs_ros.ops.spatially_variant_convolution import (SpatiallyVariantConvolution,
                                                       spatially_variant_convolution)

_POSITIONS = 16    # in a row, for a block of threads: the smallest matrix that can be multiplied
_ROWS = 4
_CHANNELS = 128
_TRIED_SIZE = (5, 21)    # rows and columns: not a multiple of anything


@triton.jit(do_not_specialize=['height', 'width'])    # nothing to compile for another image
def convolution_kernel(features, kernels, result, height, width,  # type: ignore[no-untyped-def]
                       CHANNELS: tl.constexpr, SIDE: tl.constexpr, POSITIONS: tl.constexpr,
                       ROWS: tl.constexpr, SOURCES: tl.constexpr, BLOCK: tl.constexpr):
    reach: tl.constexpr = SIDE // 2
    blocks: tl.constexpr = (CHANNELS + BLOCK - 1) // BLOCK
    first, first_row = tl.program_id(0) * POSITIONS, tl.program_id(1) * ROWS
    image_at = (tl.program_id(2) // blocks).to(tl.int64) * height * width
    channels = tl.program_id(2) % blocks * BLOCK + tl.arange(0, BLOCK)
    places = tl.arange(0, ROWS * POSITIONS)
    rows, places = first_row + places // POSITIONS, first + places % POSITIONS
    sources = first - reach + tl.arange(0, SOURCES)
    columns = places[:, None] - sources[None, :] + reach
    is_place = (places < width) & (rows < height)
    is_tap = (columns >= 0) & (columns < SIDE) & is_place[:, None]
    is_channel = (channels < CHANNELS)[None, :]
    is_source = ((sources >= 0) & (sources < width))[:, None] & is_channel
    results_at = image_at + rows * width + places
    taps_at = kernels + results_at[:, None] * (SIDE * SIDE) + columns
    sources_at = features + (image_at + sources[:, None]) * CHANNELS + channels[None, :]
    total = tl.full((ROWS * POSITIONS, BLOCK), 0, tl.float32)
    for step in range(ROWS + SIDE - 1):
        source_row = first_row - reach + step
        lines = rows - source_row + reach    # of each place's kernel
        if (source_row >= 0) & (source_row < height):
            is_line = (lines >= 0) & (lines < SIDE)
            taps = tl.load(taps_at + lines[:, None] * SIDE, mask=is_tap & is_line[:, None],
                           other=0)
            values = tl.load(sources_at + source_row.to(tl.int64) * width * CHANNELS,
                             mask=is_source, other=0)
            total = tl.dot(taps, values, total, input_precision='ieee')
    tl.store(result + results_at[:, None] * CHANNELS + channels[None, :],
             total.to(result.dtype.element_ty), mask=is_place[:, None] & is_channel)


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
    result = torch.empty_like(features)
    sizes = block_sizes(channels, math.isqrt(kernels.shape[1]), features.dtype,
                        multiplies_matrices=_multiplies_matrices(features.device))
    grid = (triton.cdiv(width, _POSITIONS), triton.cdiv(height, sizes['ROWS']),
            batch * triton.cdiv(channels, sizes['BLOCK']))
    with torch.cuda.device_of(features):    # Triton launches on the current one
        convolution_kernel[grid](features, kernels, result, height, width, **sizes)
    return result


def block_sizes(channels: int, side: int, dtype: torch.dtype, *, multiplies_matrices: bool
                ) -> dict[str, int]:
    """Return the constants of the kernel.

    More rows are less to read and more to compute: a row of the source that only some of them see
    is multiplied with zeros for the others. That is worth it where matrices are multiplied as
    such: Triton does so with 16 bits, from Ampere on.
    """
    is_fast = multiplies_matrices and dtype.itemsize == 2
    return {'CHANNELS': channels, 'SIDE': side, 'POSITIONS': _POSITIONS,
            'ROWS': _ROWS if is_fast else 1,
            'BLOCK': min(_CHANNELS if is_fast else 64, max(16, triton.next_power_of_2(channels))),
            'SOURCES': triton.next_power_of_2(_POSITIONS + side - 1),
            'num_warps': 8 if is_fast else 4}    # with less, a thread has too many registers


def _multiplies_matrices(device: torch.device) -> bool:
    return device.type != 'cuda' or torch.cuda.get_device_capability(device) >= (8, 0)


class TritonSpatiallyVariantConvolution(SpatiallyVariantConvolution):
    """:func:`convolve` as a module; for inference on a GPU."""

    def forward(self, features: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
        """See :func:`convolve`."""
        return convolve(features, kernels)


def reason_against_convolution(device: torch.device, dtype: torch.dtype, channels: int, side: int
                               ) -> str:
    """Compile :func:`convolve` for a kind of features, and compare it with the reference.

    :param channels: C of the features
    :param side: H_K
    :return: why it cannot be used; '' = it can
    """
    generator = torch.Generator().manual_seed(0)
    features, kernels = (
        torch.randn(1, count, *_TRIED_SIZE, generator=generator).to(device, dtype)
        for count in (channels, side * side))
    # At most: the sums are of order H_K, and rounded to the type once.
    return reason_against(lambda: convolve(features, kernels),
                          spatially_variant_convolution(features, kernels),
                          tolerance=8 * side * torch.finfo(dtype).eps + 1e-5)
