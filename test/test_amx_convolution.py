# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Convolutions that multiply in bfloat16: float64 ones of rounded factors tell what comes out."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from lvs_ros.backends.cpu import library
from lvs_ros.backends.cpu.adapt_net import NativeAdaptNet
from lvs_ros.backends.cpu.amx.convolution import AmxConvolution
from lvs_ros.backends.cpu.stem import NativeStem
from lvs_ros.backends.folding import fold_batch_norm
from lvs_ros.checkpoints import checkpoints
from lvs_ros.model import VARIANTS, SegmentationNetwork, load_network
from lvs_ros.model.adapt_net import AdaptNet
from lvs_ros.model.normalisation import Normalisation
from lvs_ros.backends.prepare import choose_precision, prepare
from lvs_ros.street import StreetScene
from native_levels import assert_equal_but_for_rounding, forced

with_amx = pytest.mark.skipif(not library.has_amx(), reason='this processor does not have AMX')
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


@with_amx
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
    assert_equal_but_for_rounding(AmxConvolution(layer)(x), exact(layer, x))


@with_amx
@pytest.mark.parametrize('pieces', [1, 2, 7, 50])
@pytest.mark.parametrize('relu', [False, True])
@pytest.mark.parametrize('layer', [
    layer_of(16, 21, 3, 2, 1), layer_of(40, 24, 3, 1, 4, 4), layer_of(3, 40, 7, 2, 3)])
def test_pieces_addition_and_relu(layer: nn.Conv2d, pieces: int, relu: bool) -> None:
    x = torch.randn(2, layer.in_channels, 19, 34)
    plain = exact(layer, x)
    added = torch.randn(plain.shape)
    native = AmxConvolution(layer, relu=relu)
    native.pieces = pieces
    whole = native(x, added)
    expected = plain + added.double()    # neither is rounded
    assert_equal_but_for_rounding(whole, expected.clamp(min=0) if relu else expected)
    calls: list[int] = []
    with checkpoints(lambda: calls.append(1)):
        assert torch.equal(native(x, added), whole)
    assert 2 <= len(calls) <= 2 * pieces    # two images


@with_amx
def test_what_is_not_a_number_stays_so() -> None:
    x = torch.zeros(1, 8, 8, 8)
    x[0, 0, 0, 0] = math.nan
    result = AmxConvolution(layer_of(8, 8, 3, 1, 1), relu=True)(x)
    assert result[0, :, 0, 0].isnan().all() and not result[0, :, 7, 7].isnan().any()


@with_amx
@pytest.mark.parametrize('channels, high_channels', [(11, 24), (96, 128)])
def test_adapt_net_in_one_pass(channels: int, high_channels: int) -> None:
    net = AdaptNet(6, channels, high_channels).eval().requires_grad_(False)
    nn.init.normal_(net.correction.weight, std=0.1)
    fold_batch_norm(net)
    low, propagated = torch.randn(2, 6, 9, 37), torch.randn(2, high_channels, 9, 37)
    found = NativeAdaptNet(net, net.convolutions, AmxConvolution)(low, propagated)
    fusion = net.fuse[0]
    assert isinstance(fusion, nn.Conv2d)
    fused = exact(fusion, torch.cat((propagated, net.convolutions(low)), 1)).relu()
    # What lies between two numbers of bfloat16 may be rounded to either after another sum.
    largest = fused.abs().max() * net.correction.weight.abs().sum(1).max()
    expected = propagated + exact(net.correction, fused.float())
    assert (found - expected).abs().max() < 2**-8 * largest
    assert ((found - expected).abs() < 1e-5 * largest).double().mean() > 0.98


@with_amx
@pytest.mark.parametrize('shape', [(7, 2, 3), (3, 2, 1), (5, 1, 2)])
@pytest.mark.parametrize('floats', [False, True])
def test_the_stem(shape: tuple[int, int, int], floats: bool) -> None:
    mean, std = torch.tensor([120., 110., 100.]), torch.tensor([64., 32., 128.])
    layer = layer_of(3, 40, *shape)
    stem = nn.Sequential(layer, nn.Identity(), nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1))
    image = torch.randint(0, 256, (2, 3, 61, 83), dtype=torch.uint8)
    # With these means and deviations, normalised values have no more digits than bfloat16.
    normalised = (image.double() - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    assert torch.equal(rounded(normalised), normalised)
    expected = functional.max_pool2d(exact(layer, normalised).relu(), 3, stride=2, padding=1)
    native = NativeStem(stem, Normalisation(mean.tolist(), std.tolist()), AmxConvolution)
    assert_equal_but_for_rounding(native(image.float() if floats else image), expected)


@with_amx
def test_fewer_than_one_label_in_two_hundred_changes() -> None:
    street = StreetScene(seed=3)
    images = [torch.from_numpy(street.render(time_s)[0]).permute(2, 0, 1)[None]
              for time_s in (1.0, 1.2)]
    labels = []
    for precision in ('float32', 'bfloat16'):
        network = prepare(load_network('lite_camvid'), device=CPU, precision=precision)
        key_low, (low, detail) = network.low(images[0]), network.low_and_detail(images[1])
        moved = network.propagate(network.embed(key_low), network.embed(low),
                                  network.high(key_low))
        labels.append([network(images[0]).argmax(1), network.upsample(network.logits(
            network.adapt(low, moved), detail), 360, 480).argmax(1)])
    for plain, fast in zip(*labels):
        assert 0 < (plain != fast).float().mean() < 0.005


@with_amx
@pytest.mark.parametrize('precision', ['auto', 'bfloat16', 'float32'])
def test_precision_chooses_the_convolutions(precision: str) -> None:
    network = SegmentationNetwork(VARIANTS['tiny']('camvid', 11))
    prepare(network, device=CPU, precision=precision)
    kinds = {type(module) for module in network.modules() if hasattr(module, 'result_size')}
    assert (kinds == {AmxConvolution}) is (precision != 'float32')
    assert network.low(torch.zeros(1, 3, 32, 32, dtype=torch.uint8)).dtype == torch.float32


def test_without_amx() -> None:
    with forced(library.supported_levels()[-1]):
        assert not library.has_amx()
        assert choose_precision('auto', CPU) == 'float32'
        assert choose_precision('bfloat16', CPU) == 'bfloat16'
        network = SegmentationNetwork(VARIANTS['tiny']('camvid', 11))
        prepare(network, device=CPU, precision='bfloat16')    # torch's
        image = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
        assert network.low(image).dtype == torch.bfloat16


def test_precision_of_a_gpu() -> None:
    assert choose_precision('auto', torch.device('cuda')) == 'float16'
