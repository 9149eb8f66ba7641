# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Resampling by matrix products, as on a GPU, against torch's own operators."""

import pytest
import torch
from torch.nn import functional

from lvs_ros.ops.resampling import by_matrices, interpolating_matrix, pooling_matrix

CPU = torch.device('cpu')
SIZES = [(45, 60), (12, 17), (6, 6), (3, 5), (1, 2)]


@pytest.mark.parametrize('height, width', SIZES)
@pytest.mark.parametrize('bins', [1, 2, 3, 6])
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_pooling(height: int, width: int, bins: int, layout: torch.memory_format) -> None:
    x = torch.randn(2, 3, height, width).contiguous(memory_format=layout)
    torch.testing.assert_close(
        by_matrices(x, *(pooling_matrix(side, bins, CPU, x.dtype) for side in (height, width))),
        functional.adaptive_avg_pool2d(x, bins))


@pytest.mark.parametrize('height, width', SIZES)
@pytest.mark.parametrize('align_corners', [False, True])
def test_interpolating(height: int, width: int, align_corners: bool) -> None:
    for size in (1, 2, 3, 6):
        x = torch.randn(2, 3, size, size).contiguous(memory_format=torch.channels_last)
        matrices = [interpolating_matrix(size, side, align_corners, CPU, x.dtype)
                    for side in (height, width)]
        torch.testing.assert_close(
            by_matrices(x, *matrices),
            functional.interpolate(x, (height, width), mode='bilinear',
                                   align_corners=align_corners), atol=1e-5, rtol=1e-5)


def test_a_sum_over_many_positions_keeps_its_small_terms() -> None:
    # 2,700 gradients of 1 for one value: added up one by one in bfloat16, they end at 256.
    x = torch.randn(1, 1, 1, 1, dtype=torch.bfloat16, requires_grad=True)
    with torch.inference_mode():    # the matrices can be made anywhere
        matrices = [interpolating_matrix(1, side, False, CPU, x.dtype) for side in (45, 60)]
    by_matrices(x, *matrices).float().sum().backward()
    assert x.grad is not None and float(x.grad) == pytest.approx(2700, rel=0.01)
