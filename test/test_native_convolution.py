# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Native convolutions: plain convolutions in float64 tell what comes out."""

import math
from typing import Optional

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from lvs_ros.backends.cpu.adapt_net import NativeAdaptNet
from lvs_ros.backends.cpu.convolution import NativeConvolution
from lvs_ros.backends.cpu.direct import DirectConvolution
from lvs_ros.backends.cpu.winograd import WinogradConvolution
from lvs_ros.backends.folding import fold_batch_norm
from lvs_ros.checkpoints import checkpoints
from lvs_ros.model.adapt_net import AdaptNet
from native_levels import (assert_equal_but_for_rounding, each_level, forced, needs_kernels)

pytestmark = needs_kernels


def convolution(channels_in: int, channels_out: int, dilation: int = 1, *, bias: bool = True
                ) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(channels_in, channels_out, 3, 1, dilation, dilation,
                     bias=bias).requires_grad_(False)


def exact(layer: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    bias = None if layer.bias is None else layer.bias.double()
    return functional.conv2d(x.double(), layer.weight.double(), bias, stride=layer.stride,
                             padding=layer.padding, dilation=layer.dilation)


@settings(deadline=None, max_examples=60)
@given(channels_in=st.sampled_from([8, 24, 40]), channels_out=st.sampled_from([8, 16, 56]),
       dilation=st.integers(1, 5), height=st.integers(1, 23), width=st.integers(1, 23),
       batch=st.integers(1, 2), bias=st.booleans(), channels_last=st.booleans())
def test_winograd_is_the_convolution(
        channels_in: int, channels_out: int, dilation: int, height: int, width: int, batch: int,
        bias: bool, channels_last: bool) -> None:
    layer = convolution(channels_in, channels_out, dilation, bias=bias)
    x = torch.randn(batch, channels_in, height, width)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    assert_equal_but_for_rounding(WinogradConvolution(layer)(x), exact(layer, x))


@settings(deadline=None, max_examples=100)
@given(channels_in=st.integers(1, 40), channels_out=st.integers(1, 50),
       kernel=st.sampled_from([1, 2, 3, 5, 7]), stride=st.integers(1, 3),
       padding=st.integers(0, 4), dilation=st.integers(1, 3), height=st.integers(1, 23),
       width=st.integers(1, 23), batch=st.integers(1, 2), bias=st.booleans(),
       channels_last=st.booleans())
def test_direct_is_the_convolution(
        channels_in: int, channels_out: int, kernel: int, stride: int, padding: int,
        dilation: int, height: int, width: int, batch: int, bias: bool, channels_last: bool
        ) -> None:
    assume(min(height, width) + 2 * padding > dilation * (kernel - 1))
    torch.manual_seed(0)
    layer = nn.Conv2d(channels_in, channels_out, kernel, stride, padding, dilation,
                      bias=bias).requires_grad_(False)
    x = torch.randn(batch, channels_in, height, width)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    assert_equal_but_for_rounding(DirectConvolution(layer)(x), exact(layer, x))


KINDS = [(WinogradConvolution, nn.Conv2d(16, 24, 3, 1, 2, 2)),
         (DirectConvolution, nn.Conv2d(16, 21, 3, 2, 1)),
         (DirectConvolution, nn.Conv2d(3, 40, 7, 2, 3))]


@pytest.mark.parametrize('pieces', [1, 2, 7, 36, 50])
@pytest.mark.parametrize('relu', [False, True])
@pytest.mark.parametrize('kind, layer', KINDS)
def test_pieces_addition_and_relu(kind: type[NativeConvolution], layer: nn.Conv2d, pieces: int,
                                  relu: bool) -> None:
    layer.requires_grad_(False)
    x = torch.randn(2, layer.in_channels, 19, 14)
    plain = exact(layer, x)
    added = torch.randn(plain.shape)
    native = kind(layer, relu=relu)
    native.pieces = pieces
    whole = native(x, added)
    expected = plain + added.double()
    assert_equal_but_for_rounding(whole, expected.clamp(min=0) if relu else expected)
    calls: list[int] = []
    with checkpoints(lambda: calls.append(1)):
        assert torch.equal(native(x, added), whole)
    assert 2 <= len(calls) <= 2 * pieces    # two images


@pytest.mark.parametrize('x, added, message', [
    (torch.zeros(1, 7, 9, 9), None, r'\(1, 7, 9, 9\), .*: expected 8 channels'),
    (torch.zeros(1, 8, 1, 9), None, 'not smaller than the kernel'),
    (torch.zeros(1, 8, 9, 9).double(), None, 'float64 on cpu: expected .* float32'),
    (torch.zeros(1, 8, 9, 9), torch.zeros(1, 16, 3, 1), r'addition of shape \(1, 16, 3, 1\)'),
    (torch.zeros(1, 8, 9, 9), torch.zeros(1, 16, 3, 3).half(), 'float16')])
def test_what_does_not_fit_is_refused(
        x: torch.Tensor, added: Optional[torch.Tensor], message: str) -> None:
    layer = DirectConvolution(nn.Conv2d(8, 16, 4, 3, 1).requires_grad_(False))
    with pytest.raises(ValueError, match=message):
        layer(x, added)


@pytest.mark.parametrize('kind', [WinogradConvolution, DirectConvolution])
def test_what_is_not_a_number_stays_so(kind: type[NativeConvolution]) -> None:
    layer = convolution(8, 8)
    x = torch.zeros(1, 8, 8, 8)
    x[0, 0, 0, 0] = math.nan
    result = kind(layer, relu=True)(x)
    assert result[0, :, 0, 0].isnan().all() and not result[0, :, 7, 7].isnan().any()


def adapt_net_of(low_channels: int, channels: int, high_channels: int) -> AdaptNet:
    torch.manual_seed(0)
    net = AdaptNet(low_channels, channels, high_channels).eval().requires_grad_(False)
    nn.init.normal_(net.correction.weight, std=0.1)
    nn.init.normal_(net.correction.bias)  # type: ignore[arg-type]
    fold_batch_norm(net)
    return net


@pytest.mark.parametrize('channels, high_channels', [(11, 24), (40, 5), (96, 128)])
@pytest.mark.parametrize('size', [(9, 13), (1, 1), (3, 45)])
def test_adapt_net_in_one_pass(channels: int, high_channels: int, size: tuple[int, int]) -> None:
    net = adapt_net_of(6, channels, high_channels)
    low, propagated = torch.randn(2, 6, *size), torch.randn(2, high_channels, *size)
    found = NativeAdaptNet(net, net.convolutions)(low, propagated)
    assert_equal_but_for_rounding(found, net.double()(low.double(), propagated.double()))


@pytest.mark.parametrize('low, propagated', [
    ((1, 6, 5, 6), (1, 7, 5, 6)), ((1, 6, 6, 5), (1, 8, 5, 6)), ((2, 6, 5, 6), (1, 8, 5, 6))])
def test_features_that_do_not_fit_are_refused(
        low: tuple[int, ...], propagated: tuple[int, ...]) -> None:
    net = adapt_net_of(6, 4, 8)
    with pytest.raises(ValueError, match='expected'):
        NativeAdaptNet(net, net.convolutions)(torch.zeros(low), torch.zeros(propagated))


@each_level
def test_every_level_that_runs_here(level: str) -> None:
    for kind, layer in KINDS:
        layer.requires_grad_(False)
        x = torch.randn(1, layer.in_channels, 17, 22)
        with forced(level):
            assert_equal_but_for_rounding(kind(layer)(x), exact(layer, x))
