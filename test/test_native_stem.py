# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The native stem: torch's normalisation, convolution, pooling in float64 tell what comes out."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from lvs_ros.backends.cpu.stem import NativeStem
from lvs_ros.model.normalisation import Normalisation
from native_levels import (assert_equal_but_for_rounding, each_level, forced, needs_kernels)

pytestmark = needs_kernels

MEAN, STD = torch.tensor([120.0, 110.0, 100.0]), torch.tensor([60.0, 50.0, 40.0])


def stem_of(channels: int, kernel: int = 7, stride: int = 2, padding: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, channels, kernel, stride, padding), nn.Identity(), nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1)).requires_grad_(False)


def native(stem: nn.Sequential) -> NativeStem:
    assert NativeStem.suits(stem)
    return NativeStem(stem, Normalisation(MEAN.tolist(), STD.tolist()))


def exact(stem: nn.Sequential, image: torch.Tensor) -> torch.Tensor:
    layer = stem[0]
    assert isinstance(layer, nn.Conv2d) and layer.bias is not None
    normalised = (image.double() - MEAN.double().view(3, 1, 1)) / STD.double().view(3, 1, 1)
    features = functional.conv2d(normalised, layer.weight.double(), layer.bias.double(),
                                 layer.stride, layer.padding)
    return functional.max_pool2d(features.relu(), 3, stride=2, padding=1)


def image_of(height: int, width: int, batch: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(height * 1000 + width)
    return torch.randint(0, 256, (batch, 3, height, width), generator=generator,
                         dtype=torch.uint8)


@settings(deadline=None, max_examples=80)
@given(channels=st.sampled_from([8, 24, 32, 40]),
       shape=st.sampled_from([(7, 2, 3), (3, 2, 1), (5, 1, 2), (4, 3, 0), (3, 3, 1)]),
       height=st.integers(4, 75), width=st.integers(4, 75), batch=st.integers(1, 2),
       floats=st.booleans(), channels_last=st.booleans())
def test_it_is_what_torch_computes_in_steps(
        channels: int, shape: tuple[int, int, int], height: int, width: int, batch: int,
        floats: bool, channels_last: bool) -> None:
    stem, image = stem_of(channels, *shape), image_of(height, width, batch)
    if floats:
        image = image.float()
    if channels_last:
        image = image.contiguous(memory_format=torch.channels_last)
    assert_equal_but_for_rounding(native(stem)(image), exact(stem, image))


@each_level
def test_every_level_that_runs_here(level: str) -> None:
    stem, image = stem_of(40), image_of(61, 83)
    with forced(level):
        assert_equal_but_for_rounding(native(stem)(image), exact(stem, image))


@pytest.mark.parametrize('image, message', [
    (torch.zeros(1, 4, 32, 32, dtype=torch.uint8), r'\(1, 4, 32, 32\)'),
    (torch.zeros(1, 3, 32, 32, dtype=torch.float64), 'float64'),
    (torch.zeros(1, 3, 32, 2, dtype=torch.uint8), 'not smaller than the kernel')])
def test_what_does_not_fit_is_refused(image: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        native(stem_of(8, 7, 2, 1))(image)


def test_a_channel_that_is_not_a_number_stays_so() -> None:
    stem = stem_of(16)
    layer = stem[0]
    assert isinstance(layer, nn.Conv2d)
    layer.weight[3, 0, 0, 0] = math.nan
    result = native(stem)(image_of(40, 40))
    assert result[:, 3].isnan().all() and not result[:, 4:].isnan().any()
