# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The GPU's kernel: on a GPU where there is one, else by Triton's interpreter on the CPU."""

import re
from typing import Any, Callable

import pytest
import torch

from gpu_kernels import DEVICE, module_of


@pytest.fixture(scope='module')
def gpu() -> Any:
    return module_of('spatially_variant_convolution')


def problem(batch: int, channels: int, height: int, width: int, side: int,
            dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(height)
    features = torch.randn(batch, channels, height, width, generator=generator)
    kernels = torch.randn(batch, side * side, height, width, generator=generator).softmax(1)
    return features.to(DEVICE, dtype), kernels.to(DEVICE, dtype)


def in_float64(features: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    """The equation, a tap at a time, in the precision of the inputs."""
    side = round(kernels.shape[1] ** 0.5)
    height, width = features.shape[2:]
    padded = torch.nn.functional.pad(features.double().cpu(), (side // 2,) * 4)
    result = torch.zeros(features.shape, dtype=torch.float64)
    for tap, weights in enumerate(kernels.double().cpu().unbind(1)):
        top, left = side - 1 - tap // side, side - 1 - tap % side    # reads (i - u, j - v)
        result += weights[:, None] * padded[:, :, top:top + height, left:left + width]
    return result


@pytest.mark.parametrize('batch, channels, height, width, side', [
    (1, 128, 4, 33, 9),
    (2, 40, 11, 16, 9),     # channels that fill no block; lines above and below; one block wide
    (1, 64, 2, 3, 5),       # smaller than the kernels
    (1, 80, 3, 40, 19),     # a kernel that sees more than 32 positions
    (3, 16, 1, 1, 1),
])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])
def test_it_is_the_equation(gpu: Any, batch: int, channels: int, height: int, width: int,
                            side: int, dtype: torch.dtype) -> None:
    features, kernels = problem(batch, channels, height, width, side, dtype)
    result = gpu.convolve(features, kernels)
    assert result.shape == features.shape and result.dtype == dtype
    assert result.is_contiguous(memory_format=torch.channels_last)
    expected = in_float64(features, kernels)
    # 16 bits are rounded once, at the end; float32 may be after each addition.
    roundings = {torch.float16: 1, torch.float32: 8}[dtype]
    tolerance = roundings * torch.finfo(dtype).eps * expected.abs().clamp(min=1)
    assert ((result.cpu().double() - expected).abs() <= tolerance).all()


def test_the_layout_does_not_matter(gpu: Any) -> None:
    features, kernels = problem(2, 32, 3, 5, 3, torch.float32)
    expected = gpu.convolve(features, kernels)
    assert torch.equal(gpu.convolve(features.to(memory_format=torch.channels_last), kernels),
                       expected)
    assert torch.equal(gpu.convolve(features.flip(3).flip(3), kernels.mT.contiguous().mT),
                       expected)


def test_it_is_used_where_it_computes_what_it_should(gpu: Any) -> None:
    assert gpu.reason_against_convolution(DEVICE, torch.float16, 64, 9) == ''


def fails(features: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    raise RuntimeError('Failed to find C compiler')


def is_wrong(features: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    return in_float64(features, kernels.flip(1)).to(features)


@pytest.mark.parametrize('operator, reason', [
    (fails, 'RuntimeError: Failed to find C compiler'), (is_wrong, 'its results are .* off')])
def test_it_is_done_without_where_it_cannot_be_used(
        gpu: Any, monkeypatch: pytest.MonkeyPatch, reason: str,
        operator: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
    monkeypatch.setattr(gpu, 'convolve', operator)
    assert re.fullmatch(reason, gpu.reason_against_convolution(DEVICE, torch.float16, 16, 9))


@pytest.mark.parametrize('height, width', [(4, 16), (5, 17), (9, 3), (1, 33)])
def test_one_row_a_block_and_several_are_the_same(
        gpu: Any, monkeypatch: pytest.MonkeyPatch, height: int, width: int) -> None:
    features, kernels = problem(2, 24, height, width, 5, torch.float16)
    several = gpu.convolve(features, kernels)
    monkeypatch.setattr(gpu, '_ROWS', 1)
    torch.testing.assert_close(several, gpu.convolve(features, kernels), rtol=1e-3, atol=1e-3)
