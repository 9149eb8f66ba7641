# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Convolutions as a GPU computes them, against float64. Without a GPU, torch stands in for cuDNN.
"""

from typing import Any, Optional

import pytest
import torch
from torch import nn
from torch.nn import functional

from gpu_kernels import DEVICE
from lvs_ros.backends.cuda import convolution
from lvs_ros.backends.cuda.convolution import (FusedConvolution, in_several_kernels,
                                               reason_against_one_kernel)
from lvs_ros.checkpoints import checkpoints

COMPUTE = convolution.in_one_kernel if DEVICE.type == 'cuda' else in_several_kernels
LAYERS = [nn.Conv2d(3, 28, 7, 2, 3), nn.Conv2d(24, 100, 3, 1, 2, 2), nn.Conv2d(40, 64, 1),
          nn.Conv2d(16, 130, 3, 2, 1, bias=False)]


def exact(layer: nn.Conv2d, x: torch.Tensor, added: Optional[torch.Tensor], relu: bool
          ) -> torch.Tensor:
    bias = None if layer.bias is None else layer.bias.double()
    result = functional.conv2d(x.double(), layer.weight.double(), bias, layer.stride,
                               layer.padding, layer.dilation)
    result = result if added is None else result + added.double()
    return result.clamp(min=0) if relu else result


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize('relu', [False, True])
@pytest.mark.parametrize('with_addition', [False, True])
@pytest.mark.parametrize('layer', LAYERS)
def test_it_is_the_convolution(layer: nn.Conv2d, with_addition: bool, relu: bool,
                               dtype: torch.dtype) -> None:
    layer = layer.requires_grad_(False).to(DEVICE, dtype)
    x = torch.randn(2, layer.in_channels, 11, 14, device=DEVICE, dtype=dtype)
    plain = exact(layer, x, None, False)
    added = torch.randn_like(plain, dtype=dtype) if with_addition else None
    fused = FusedConvolution(layer, relu=relu, compute=COMPUTE)
    result = fused(x, added)
    assert result.dtype == dtype and result.is_contiguous(memory_format=torch.channels_last)
    expected = exact(layer, x, added, relu)
    # Where kernels are separate, the sum before the addition is rounded, too; TF32 has 10 bits.
    eps = max(torch.finfo(dtype).eps, 2 ** -10 if DEVICE.type == 'cuda' else 0)
    tolerance = (1e-6 + 4 * eps) * (1 + float(plain.abs().max()))
    assert (result.double() - expected).abs().max() <= tolerance


@pytest.mark.parametrize('pieces, expected', [(1, 1), (2, 2), (3, 3), (4, 3), (5, 5), (40, 5)])
def test_pieces_are_of_whole_groups_of_channels(pieces: int, expected: int) -> None:
    layer = LAYERS[3].requires_grad_(False).to(DEVICE, torch.float32)    # 130 = 4 * 32 + 2
    fused = FusedConvolution(layer, relu=True, compute=COMPUTE)
    x, added = torch.randn(1, 16, 9, 9, device=DEVICE), torch.randn(1, 130, 5, 5, device=DEVICE)
    fused.pieces = pieces
    whole = fused(x, added)
    calls: list[int] = []
    with checkpoints(lambda: calls.append(1)):
        in_pieces = fused(x, added)
    assert len(calls) == expected
    torch.testing.assert_close(in_pieces, whole, rtol=0, atol=5e-3)
    assert in_pieces.is_contiguous(memory_format=torch.channels_last)


def test_the_work_is_its_multiplications() -> None:
    assert FusedConvolution(LAYERS[1]).work == 24 * 100 * 9


def without_addition(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, added: Any,
                     *geometry: Any) -> torch.Tensor:
    return in_several_kernels(x, weight, bias, None, *geometry)


def without_dilation(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, added: Any,
                     stride: Any, padding: Any, dilation: Any) -> torch.Tensor:
    return in_several_kernels(x, weight, bias, added, stride, 1, 1)  # type: ignore[arg-type]


def not_a_number(*arguments: Any) -> torch.Tensor:
    return in_several_kernels(*arguments) * torch.nan


def fails(*arguments: Any) -> torch.Tensor:
    raise RuntimeError('GET was unable to find an engine\nto execute this computation')


@pytest.mark.parametrize('compute, reason', [
    (COMPUTE, ''), (without_addition, 'off'), (without_dilation, 'off'), (not_a_number, 'nan off'),
    (fails, 'RuntimeError: GET was unable to find an engine')])
def test_a_wrong_or_failing_kernel_is_found(compute: convolution.Compute, reason: str) -> None:
    layer = FusedConvolution(LAYERS[1].requires_grad_(False).to(DEVICE, torch.float16), relu=True)
    found = reason_against_one_kernel(layer, compute)
    assert found.endswith(reason) and bool(found) == bool(reason)


@pytest.mark.skipif(DEVICE.type == 'cuda', reason='needs a machine without cuDNN')
def test_cudnn_is_not_used_where_there_is_none() -> None:
    reason = reason_against_one_kernel(FusedConvolution(LAYERS[1].requires_grad_(False)))
    assert 'cudnn_convolution_relu' in reason and '\n' not in reason
