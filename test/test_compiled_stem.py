# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The stem in C++: torch's normalisation, convolution, pooling in float64 tell what comes out."""

import copy
import math
import pathlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from compiled_operators import (assert_equal_but_for_rounding, each_level,
                                operators_that_run_here)
from lvs_ros.backends.folding import fold_batch_norm
from lvs_ros.model import VARIANTS, SegmentationNetwork, compiled_stem
from lvs_ros.model.compiled_stem import CompiledStem
from lvs_ros.model.compiling import compile_network
from lvs_ros.model.config import ModelConfig
from lvs_ros.model.convolution import Stem
from lvs_ros.native import library as native

pytestmark = pytest.mark.skipif(
    native.library() is None, reason='no compiled operators for this processor')

MEAN, STD = torch.tensor([120.0, 110.0, 100.0]), torch.tensor([60.0, 50.0, 40.0])


def stem_of(channels: int, kernel: int = 7, stride: int = 2, padding: int = 3) -> Stem:
    torch.manual_seed(0)
    return Stem(nn.Conv2d(3, channels, kernel, stride, padding), nn.Identity(), nn.ReLU(),
                nn.MaxPool2d(3, stride=2, padding=1)).requires_grad_(False)


def compiled(stem: Stem) -> CompiledStem:
    assert CompiledStem.suits(stem)
    return CompiledStem(stem, MEAN.view(1, 3, 1, 1), STD.view(1, 3, 1, 1))


def exact(stem: Stem, image: torch.Tensor) -> torch.Tensor:
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
    assert_equal_but_for_rounding(compiled(stem)(image), exact(stem, image))


@each_level
def test_every_compiled_level_that_runs_here(
        path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    operators = operators_that_run_here(path)
    monkeypatch.setattr(compiled_stem, 'operators', lambda: operators)
    monkeypatch.setattr('lvs_ros.model.compiled_convolution.operators', lambda: operators)
    stem, image = stem_of(40), image_of(61, 83)
    assert_equal_but_for_rounding(compiled(stem)(image), exact(stem, image))


@pytest.mark.parametrize('image, message', [
    (torch.zeros(1, 4, 32, 32, dtype=torch.uint8), r'\(1, 4, 32, 32\)'),
    (torch.zeros(1, 3, 32, 32, dtype=torch.float64), 'float64'),
    (torch.zeros(1, 3, 32, 2, dtype=torch.uint8), 'not smaller than the kernel')])
def test_what_does_not_fit_is_refused(image: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compiled(stem_of(8, 7, 2, 1))(image)


def test_a_channel_that_is_not_a_number_stays_so() -> None:
    stem = stem_of(16)
    layer = stem[0]
    assert isinstance(layer, nn.Conv2d)
    layer.weight[3, 0, 0, 0] = math.nan
    result = compiled(stem)(image_of(40, 40))
    assert result[:, 3].isnan().all() and not result[:, 4:].isnan().any()


def network_of(**changes: object) -> SegmentationNetwork:
    torch.manual_seed(0)
    config = ModelConfig(**{**VARIANTS['tiny']('camvid', 11).__dict__, **changes})
    network = SegmentationNetwork(config).eval().requires_grad_(False)
    fold_batch_norm(network)
    return network


def test_a_network_gets_it_and_reads_bytes_and_floats_alike() -> None:
    network = network_of()
    image = image_of(90, 122)
    expected = copy.deepcopy(network).double().low(image.double())
    compile_network(network)
    assert isinstance(network.backbone.stem, CompiledStem)
    assert_equal_but_for_rounding(network.low(image), expected)
    assert torch.equal(network.low(image), network.low(image.float()))


@pytest.mark.parametrize('network', [
    network_of(stem='conv3', base_width=16), network_of().half(), network_of().double(),
    network_of(base_width=12)], ids=['three convolutions', 'half', 'double', 'channels'])
def test_other_stems_stay(network: SegmentationNetwork) -> None:
    compile_network(network)
    assert isinstance(network.backbone.stem, Stem)


def test_where_nothing_is_compiled_bytes_are_read_as_well() -> None:
    network, image = network_of(), image_of(45, 61)
    torch.testing.assert_close(network.low(image), network.low(image.float()))
