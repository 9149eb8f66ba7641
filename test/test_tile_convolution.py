# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Convolutions that multiply in bfloat16: float64 ones of rounded factors tell what comes out."""

import math
import pickle
from typing import Iterator

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from compiled_operators import assert_equal_but_for_rounding
from lvs_ros.backends.folding import fold_batch_norm
from lvs_ros.backends.prepare import choose_precision, prepare
from lvs_ros.errors import ConfigurationError
from lvs_ros.model import VARIANTS, SegmentationNetwork, load_network
from lvs_ros.model.compiled_fusion import CompiledFusion
from lvs_ros.model.compiled_stem import CompiledStem
from lvs_ros.model.compiling import BFLOAT16, FLOAT32, use_compiled_convolutions
from lvs_ros.model.convolution import Stem, convolve
from lvs_ros.model.steps import finish
from lvs_ros.model.tile_convolution import TileConvolution
from lvs_ros.native import library as native
from lvs_ros.street import StreetScene

with_tiles = pytest.mark.skipif(
    not native.has_tiles(), reason='this processor does not multiply tiles of bfloat16')
CPU = torch.device('cpu')


def rounded(x: torch.Tensor) -> torch.Tensor:
    return x.to(torch.bfloat16).double()


def exact(layer: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """The sums of products of rounded factors, without a rounding of their own."""
    bias = None if layer.bias is None else layer.bias.double()
    return functional.conv2d(rounded(x), rounded(layer.weight), bias, layer.stride,
                             layer.padding, layer.dilation)


def layer_of(channels_in: int, channels_out: int, kernel: int, stride: int = 1, padding: int = 0,
             dilation: int = 1, *, bias: bool = True) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(channels_in, channels_out, kernel, stride, padding, dilation,
                     bias=bias).requires_grad_(False)


@with_tiles
@settings(deadline=None, max_examples=150)
@given(channels_in=st.integers(1, 70), channels_out=st.integers(1, 70),
       kernel=st.sampled_from([1, 2, 3, 5, 7]), stride=st.integers(1, 3),
       padding=st.integers(0, 4), dilation=st.integers(1, 4), height=st.integers(1, 23),
       width=st.integers(1, 80), batch=st.integers(1, 2), bias=st.booleans(),
       channels_last=st.booleans())
def test_it_is_the_convolution_of_rounded_factors(
        channels_in: int, channels_out: int, kernel: int, stride: int, padding: int,
        dilation: int, height: int, width: int, batch: int, bias: bool, channels_last: bool
        ) -> None:
    assume(min(height, width) + 2 * padding > dilation * (kernel - 1))
    layer = layer_of(channels_in, channels_out, kernel, stride, padding, dilation, bias=bias)
    x = torch.randn(batch, channels_in, height, width)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    assert_equal_but_for_rounding(TileConvolution(layer)(x), exact(layer, x))


@with_tiles
@pytest.mark.parametrize('count', [1, 2, 7, 50])
@pytest.mark.parametrize('relu', [False, True])
@pytest.mark.parametrize('layer', [
    layer_of(16, 21, 3, 2, 1), layer_of(40, 24, 3, 1, 4, 4), layer_of(3, 40, 7, 2, 3)])
def test_steps_addition_and_relu(layer: nn.Conv2d, count: int, relu: bool) -> None:
    x = torch.randn(2, layer.in_channels, 19, 34)
    plain = exact(layer, x)
    added = torch.randn(plain.shape)
    result = finish(TileConvolution(layer).steps(x, count, added=added, relu=relu))
    expected = plain + added.double()    # neither is rounded
    assert_equal_but_for_rounding(result, expected.clamp(min=0) if relu else expected)
    steps = 1 + len(list(TileConvolution(layer).steps(x, count)))
    assert 2 <= steps <= 2 * count    # two images


@with_tiles
def test_what_is_not_a_number_stays_so() -> None:
    x = torch.zeros(1, 8, 8, 8)
    x[0, 0, 0, 0] = math.nan
    result = finish(convolve(TileConvolution(layer_of(8, 8, 3, 1, 1)), x, relu=True))
    assert result[0, :, 0, 0].isnan().all() and not result[0, :, 7, 7].isnan().any()


@with_tiles
def test_another_process_asks_for_tiles_again() -> None:
    layer = TileConvolution(layer_of(8, 8, 3))
    native.has_tiles.cache_clear()
    pickle.loads(pickle.dumps(layer))
    assert native.has_tiles.cache_info().misses == 1


@with_tiles
@pytest.mark.parametrize('channels, adapted_channels', [(24, 11), (128, 96)])
def test_the_fusion_is_both_convolutions_and_what_they_correct(
        channels: int, adapted_channels: int) -> None:
    fusion, correction = (layer_of(depth, channels, 1)
                          for depth in (channels + adapted_channels, channels))
    propagated = torch.randn(2, channels, 9, 37)
    adapted = torch.randn(2, adapted_channels, 9, 37)
    found = CompiledFusion(fusion, correction, TileConvolution)(propagated, adapted)
    fused = exact(fusion, torch.cat((propagated, adapted), 1)).relu()
    # What lies between two numbers of bfloat16 may be rounded to either after another sum.
    largest = fused.abs().max() * correction.weight.abs().sum(1).max()
    expected = propagated + exact(correction, fused.float())
    assert (found - expected).abs().max() < 2**-8 * largest
    assert ((found - expected).abs() < 1e-5 * largest).double().mean() > 0.98


@with_tiles
@pytest.mark.parametrize('shape', [(7, 2, 3), (3, 2, 1), (5, 1, 2)])
@pytest.mark.parametrize('floats', [False, True])
def test_the_stem(shape: tuple[int, int, int], floats: bool) -> None:
    mean, std = torch.tensor([120., 110., 100.]), torch.tensor([64., 32., 128.])
    layer = layer_of(3, 40, *shape)
    stem = Stem(layer, nn.Identity(), nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1))
    image = torch.randint(0, 256, (2, 3, 61, 83), dtype=torch.uint8)
    # With these means and deviations, normalised values have no more digits than bfloat16.
    normalised = (image.double() - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    assert torch.equal(rounded(normalised), normalised)
    expected = functional.max_pool2d(exact(layer, normalised).relu(), 3, stride=2, padding=1)
    compiled = CompiledStem(stem, mean.view(1, 3, 1, 1), std.view(1, 3, 1, 1), TileConvolution)
    assert_equal_but_for_rounding(compiled(image.float() if floats else image), expected)


@with_tiles
def test_every_convolution_of_a_network_is_replaced() -> None:
    torch.manual_seed(0)
    network = SegmentationNetwork(VARIANTS['lite']('camvid', 11)).eval().requires_grad_(False)
    fold_batch_norm(network)
    use_compiled_convolutions(network, BFLOAT16)
    assert not any(isinstance(module, nn.Conv2d) for module in network.modules())
    kinds = {type(module) for module in network.modules() if hasattr(module, 'result_size')}
    assert kinds == {TileConvolution}


@with_tiles
def test_fewer_than_one_label_in_two_hundred_changes() -> None:
    street = StreetScene(seed=3)
    images = [torch.from_numpy(street.render(time_s)[0]).permute(2, 0, 1)[None]
              for time_s in (1.0, 1.2)]
    labels = []
    for precision in ('float32', 'bfloat16'):
        network = prepare(load_network('lite_camvid'), device=CPU, precision=precision)
        key_low, low = (network.low(image) for image in images)
        moved = network.propagate(network.embed(key_low), network.embed(low),
                                  network.high(key_low))
        labels.append([network(images[0]).argmax(1), network.upsample(network.classify(
            network.adapt(low, moved)), 360, 480).argmax(1)])
    for plain, fast in zip(*labels):
        assert 0 < (plain != fast).float().mean() < 0.005


@with_tiles
@pytest.mark.parametrize('precision, kind', [
    ('auto', TileConvolution), ('bfloat16', TileConvolution), ('float32', FLOAT32[0])])
def test_precision_chooses_the_convolutions(precision: str, kind: type[nn.Module]) -> None:
    network = SegmentationNetwork(VARIANTS['tiny']('camvid', 11))
    prepare(network, device=CPU, precision=precision)
    assert isinstance(network.backbone.stage(1)[0].conv1, kind)
    assert network.low(torch.zeros(1, 3, 32, 32, dtype=torch.uint8)).dtype == torch.float32


@pytest.fixture
def without_tiles(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def forget() -> None:
        native.library.cache_clear()
        native.has_tiles.cache_clear()

    monkeypatch.setattr(native, 'has_amx_instructions', lambda: False)
    forget()
    yield
    forget()


@pytest.mark.usefixtures('without_tiles')
def test_without_tiles() -> None:
    assert not native.has_tiles()
    assert choose_precision('auto', CPU) == 'float32'
    assert choose_precision('bfloat16', CPU) == 'bfloat16'
    with pytest.raises(RuntimeError, match='has no tiles'):
        TileConvolution(layer_of(8, 8, 3))
    network = SegmentationNetwork(VARIANTS['tiny']('camvid', 11))
    prepare(network, device=CPU, precision='bfloat16')    # torch's
    assert isinstance(network.backbone.stage(1)[0].conv1, nn.Conv2d)
    assert network.classifier.weight.dtype == torch.bfloat16


def test_precision_of_a_gpu_and_unknown_ones() -> None:
    assert choose_precision('auto', torch.device('cuda')) == 'float16'
    with pytest.raises(ConfigurationError, match="'float8': expected auto"):
        choose_precision('float8', CPU)
