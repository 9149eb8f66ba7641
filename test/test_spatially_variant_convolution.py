# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Spatially variant convolution against the paper's equation, written down naively."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lvs_ros.backends.cpu.propagation import NativeSpatiallyVariantConvolution
from lvs_ros.ops.spatially_variant_convolution import spatially_variant_convolution
from native_levels import each_level, forced, needs_kernels


def equation(features: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    """F_t(l, i, j) = sum over u, v of W_ij(u, v) F_k(l, i - u, j - v), zero outside."""
    batch, channels, height, width = features.shape
    side = round(kernels.shape[1] ** 0.5)
    reach = side // 2
    result = np.zeros_like(features)
    for b, c, i, j in np.ndindex(batch, channels, height, width):
        for u in range(-reach, reach + 1):
            for v in range(-reach, reach + 1):
                if 0 <= i - u < height and 0 <= j - v < width:
                    weight = kernels[b, (u + reach) * side + (v + reach), i, j]
                    result[b, c, i, j] += weight * features[b, c, i - u, j - v]
    return result


def random_inputs(seed: int, shape: tuple[int, int, int, int], side: int
                  ) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    batch, _, height, width = shape
    return random.normal(size=shape), random.normal(size=(batch, side * side, height, width))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), batch=st.integers(1, 2), channels=st.integers(1, 5),
       height=st.integers(1, 7), width=st.integers(1, 7), side=st.sampled_from([1, 3, 5, 9]))
def test_equals_the_equation(
        seed: int, batch: int, channels: int, height: int, width: int, side: int) -> None:
    features, kernels = random_inputs(seed, (batch, channels, height, width), side)
    result = spatially_variant_convolution(torch.from_numpy(features), torch.from_numpy(kernels))
    np.testing.assert_allclose(result.numpy(), equation(features, kernels), atol=1e-12)


@needs_kernels
@each_level
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), batch=st.integers(1, 2),
       channels=st.sampled_from([5, 8, 16, 64, 72, 136]), height=st.integers(1, 7),
       width=st.integers(1, 80), side=st.sampled_from([1, 3, 9]), channels_last=st.booleans())
def test_the_native_one_equals_the_equation(
        level: str, seed: int, batch: int, channels: int, height: int, width: int, side: int,
        channels_last: bool) -> None:
    features, kernels = random_inputs(seed, (batch, channels, height, width), side)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    with forced(level):
        result = NativeSpatiallyVariantConvolution()(
            torch.from_numpy(features).float().contiguous(memory_format=layout),
            torch.from_numpy(kernels).float().contiguous(memory_format=layout))
    plain = spatially_variant_convolution(torch.from_numpy(features), torch.from_numpy(kernels))
    assert result.shape == plain.shape and result.dtype == torch.float32
    torch.testing.assert_close(result.double(), plain, rtol=1e-5, atol=1e-5)


def test_channel_chunks_join_without_a_seam() -> None:
    # large enough to be worked on in several chunks of channels
    features, kernels = random_inputs(1, (1, 70, 40, 50), 3)
    result = spatially_variant_convolution(torch.from_numpy(features), torch.from_numpy(kernels))
    np.testing.assert_allclose(result.numpy(), equation(features, kernels), atol=1e-12)


@pytest.mark.parametrize('u, v', [(1, 0), (-1, 0), (0, 1), (0, -1), (4, -3)])
def test_tap_moves_content_towards_positive_indices(u: int, v: int) -> None:
    # The minus signs: all weight on tap (u, v) brings what was at (i - u, j - v) to (i, j).
    features = torch.zeros(1, 1, 11, 11)
    features[0, 0, 5, 5] = 1.0
    kernels = torch.zeros(1, 81, 11, 11)
    kernels[0, (u + 4) * 9 + (v + 4)] = 1.0
    result = spatially_variant_convolution(features, kernels)
    assert result[0, 0, 5 + u, 5 + v] == 1.0
    assert result.sum() == 1.0


def test_outside_the_border_is_zero() -> None:
    features = torch.ones(1, 1, 4, 4)
    kernels = torch.full((1, 9, 4, 4), 1 / 9)
    result = spatially_variant_convolution(features, kernels)[0, 0]
    assert result[0, 0] == pytest.approx(4 / 9)
    assert result[0, 1] == pytest.approx(6 / 9)
    assert result[1, 1] == pytest.approx(1.0)


@pytest.mark.parametrize('side', [1, 3, 5])
def test_gradients(side: int) -> None:
    features, kernels = random_inputs(2, (2, 3, 4, 5), side)
    inputs = tuple(torch.from_numpy(x).requires_grad_() for x in (features, kernels))
    assert torch.autograd.gradcheck(spatially_variant_convolution, inputs)


def test_channels_last_features_give_the_same() -> None:
    features, kernels = (torch.from_numpy(x).float() for x in random_inputs(3, (1, 8, 9, 10), 3))
    expected = spatially_variant_convolution(features, kernels)
    strided = spatially_variant_convolution(
        features.to(memory_format=torch.channels_last),
        kernels.to(memory_format=torch.channels_last))
    assert torch.equal(strided, expected)


def test_half_precision_sums_in_float32() -> None:
    # 81 equal taps of 1/81 on ones: 16-bit accumulation would be off by more than a rounding
    features = torch.ones(1, 2, 9, 9, dtype=torch.bfloat16)
    kernels = torch.full((1, 81, 9, 9), 1 / 81, dtype=torch.bfloat16)
    result = spatially_variant_convolution(features, kernels)
    expected = 81 * float(kernels[0, 0, 0, 0])
    assert result.dtype == torch.bfloat16
    assert float(result[0, 0, 4, 4]) == pytest.approx(expected, rel=2 ** -8)


@pytest.mark.parametrize('taps, size', [(4, 5), (8, 5), (9, 6)])
def test_refuses_shapes_that_do_not_fit(taps: int, size: int) -> None:
    for convolve in (spatially_variant_convolution, NativeSpatiallyVariantConvolution()):
        with pytest.raises(ValueError, match='expected'):
            convolve(torch.ones(1, 8, 5, 5), torch.ones(1, taps, size, size))
