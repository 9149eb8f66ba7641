# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Warping by the GPU's kernel: a loop in float64 tells what comes out."""

from typing import Any

import numpy as np
import pytest
import torch

from gpu_kernels import DEVICE, module_of


@pytest.fixture(scope='module')
def gpu() -> Any:
    return module_of('warp')


def naive(features: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """Bilinear reading with coordinates held inside, position by position; (C, h, w) float64."""
    _, height, width = features.shape
    result = np.zeros(features.shape)
    for y, x in np.ndindex(height, width):
        sx = min(max(x + displacement[0, y, x], 0), width - 1)
        sy = min(max(y + displacement[1, y, x], 0), height - 1)
        x0, y0 = int(sx), int(sy)
        x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
        above = features[:, y0, x0] * (x0 + 1 - sx) + features[:, y0, x1] * (sx - x0)
        below = features[:, y1, x0] * (x0 + 1 - sx) + features[:, y1, x1] * (sx - x0)
        result[:, y, x] = above * (y0 + 1 - sy) + below * (sy - y0)
    return result


@pytest.mark.parametrize('batch, channels, height, width', [
    (1, 128, 4, 33), (2, 40, 7, 5), (1, 3, 1, 19), (3, 65, 6, 1), (1, 1, 1, 1)])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_it_reads_where_the_content_was(gpu: Any, batch: int, channels: int, height: int,
                                        width: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(width)
    features = torch.randn(batch, channels, height, width, generator=generator).to(DEVICE, dtype)
    displacement = torch.randn(batch, 2, height, width, generator=generator).mul(4).to(DEVICE)
    found = gpu.TritonWarp()(features, displacement)
    assert found.dtype == dtype and found.shape == features.shape
    assert found.is_contiguous(memory_format=torch.channels_last)
    for index in range(batch):
        expected = naive(features[index].double().cpu().numpy(),
                         displacement[index].double().cpu().numpy())
        # Coordinates are in float32; the result is rounded once, to the type of the features.
        np.testing.assert_allclose(found[index].double().cpu().numpy(), expected, atol=2e-5,
                                   rtol=torch.finfo(dtype).eps)


def test_the_layout_does_not_matter(gpu: Any) -> None:
    features, displacement = torch.randn(2, 8, 5, 7).to(DEVICE), torch.randn(2, 2, 5, 7).to(DEVICE)
    expected = gpu.TritonWarp()(features, displacement)
    by_rows = features.contiguous(memory_format=torch.channels_last)
    of_rows = displacement.contiguous(memory_format=torch.channels_last)
    assert torch.equal(gpu.TritonWarp()(by_rows, of_rows), expected)


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf, 1e30])
def test_a_wild_displacement_reads_inside_the_features(gpu: Any, value: float) -> None:
    features = torch.rand(1, 8, 5, 7).to(DEVICE)
    found = gpu.TritonWarp()(features, torch.full((1, 2, 5, 7), value, device=DEVICE))
    assert found.isfinite().all() and found.min() >= features.min()


def test_it_is_used_where_it_computes_what_it_should(
        gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpu.reason_against_warp(DEVICE, torch.float16, 24) == ''
    monkeypatch.setattr(gpu.TritonWarp, 'forward', lambda self, features, _: features)
    assert 'off' in gpu.reason_against_warp(DEVICE, torch.float16, 24)
