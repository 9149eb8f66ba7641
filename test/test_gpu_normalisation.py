# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""An image normalised by the GPU's kernel: its definition in float64 tells what comes out."""

from typing import Any

import pytest
import torch

from gpu_kernels import DEVICE, module_of

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


@pytest.fixture(scope='module')
def gpu() -> Any:
    return module_of('normalisation')


def exact(image: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1)
                 for values in (MEAN, STD))
    return (image.double().cpu() - mean) / std


@pytest.mark.parametrize('batch, height, width', [(1, 13, 37), (2, 5, 7), (1, 1, 1), (3, 1, 400)])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize('of_image', [torch.uint8, torch.float32])
def test_it_is_the_definition(gpu: Any, batch: int, height: int, width: int, dtype: torch.dtype,
                              of_image: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(width)
    image = torch.randint(0, 256, (batch, 3, height, width), generator=generator)
    image = image.to(DEVICE, of_image)
    found = gpu.TritonNormalisation(MEAN, STD, dtype)(image)
    assert found.dtype == dtype and found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found.double().cpu(), exact(image), atol=1e-6,
                               rtol=torch.finfo(dtype).eps)


def test_the_layout_does_not_matter(gpu: Any) -> None:
    image = torch.randint(0, 256, (1, 6, 9, 11)).to(DEVICE, torch.uint8)[:, 1:6:2]    # with gaps
    normalise = gpu.TritonNormalisation(MEAN, STD, torch.float32)
    expected = normalise(image)
    torch.testing.assert_close(expected.double().cpu(), exact(image), atol=1e-6, rtol=1e-6)
    assert torch.equal(normalise(image.contiguous(memory_format=torch.channels_last)), expected)
    assert torch.equal(normalise(image.flip(3)), expected.flip(3))


def test_it_is_used_where_it_computes_what_it_should(gpu: Any) -> None:
    normalise = gpu.TritonNormalisation(MEAN, STD, torch.float16)
    assert gpu.reason_against_normalisation(normalise, DEVICE) == ''
    normalise.forward = lambda image: image.half()
    assert 'off' in gpu.reason_against_normalisation(normalise, DEVICE)
