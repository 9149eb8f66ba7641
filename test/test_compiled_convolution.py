# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Convolutions in C++: plain convolutions in float64 tell what comes out."""

import math
import pathlib
from typing import Any, Optional

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from compiled_operators import (assert_equal_but_for_rounding, compiled_levels, each_level,
                                operators_that_run_here)
from lvs_ros.backends.folding import fold_batch_norm
from lvs_ros.model import VARIANTS, SegmentationNetwork, compiled_convolution
from lvs_ros.model.compiled_convolution import CompiledConvolution
from lvs_ros.model.compiled_fusion import CompiledFusion
from lvs_ros.model.compiling import use_compiled_convolutions
from lvs_ros.model.convolution import convolve
from lvs_ros.model.direct_convolution import DirectConvolution
from lvs_ros.model.steps import advance, finish
from lvs_ros.model.winograd import WinogradConvolution
from lvs_ros.native import library as native

pytestmark = pytest.mark.skipif(
    native.library() is None, reason='no compiled operators for this processor')


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


@pytest.mark.parametrize('count', [1, 2, 7, 36, 50])
@pytest.mark.parametrize('relu', [False, True])
@pytest.mark.parametrize('kind, layer', KINDS)
def test_steps_addition_and_relu(kind: type[CompiledConvolution], layer: nn.Conv2d, count: int,
                                 relu: bool) -> None:
    layer.requires_grad_(False)
    x = torch.randn(2, layer.in_channels, 19, 14)
    plain = exact(layer, x)
    added = torch.randn(plain.shape)
    result = finish(kind(layer).steps(x, count, added=added, relu=relu))
    expected = plain + added.double()
    assert_equal_but_for_rounding(result, expected.clamp(min=0) if relu else expected)
    steps = 1 + len(list(kind(layer).steps(x, count)))
    assert 2 <= steps <= 2 * count    # two images


TILES = 12    # in a block


class Counting:
    """The compiled operators; notes the multiplications of each call."""

    def __init__(self) -> None:
        self.work: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(native.library(), name)

    def lvs_winograd(self, *arguments: Any) -> None:
        _, _, channels_in, channels_out, _, _, first, last, _ = arguments[5:]
        self.work.append((last - first) * TILES * 36 * channels_in * channels_out)
        native.library().lvs_winograd(*arguments)    # type: ignore[union-attr]

    def lvs_convolution(self, *arguments: Any) -> None:
        _, width, channels_in, channels_out, kernel, stride, _, _, _, first, last, _ = \
            arguments[5:]
        self.work.append((last - first) * math.ceil(width / stride) * kernel ** 2 * channels_in
                         * channels_out)
        native.library().lvs_convolution(*arguments)    # type: ignore[union-attr]


def test_no_step_of_s_h_computes_more_than_a_sixtieth(monkeypatch: pytest.MonkeyPatch) -> None:
    operators = Counting()
    monkeypatch.setattr(compiled_convolution, 'operators', lambda: operators)
    monkeypatch.setattr(torch, 'get_num_threads', lambda: 2)    # each has a block in every step
    torch.manual_seed(0)
    network = SegmentationNetwork(VARIANTS['lite']('camvid', 11)).eval().requires_grad_(False)
    fold_batch_norm(network)
    use_compiled_convolutions(network)
    with torch.no_grad():
        low = network.low(torch.rand(1, 3, 360, 480))
    steps, work = network.high_steps(low), []
    result = None
    while result is None:
        before = len(operators.work)
        with torch.no_grad():    # else it is training, which is never interrupted
            result = advance(steps)
        work.append(sum(operators.work[before:]))
    assert max(work) <= sum(work) / 60


@pytest.mark.parametrize('x, added, message', [
    (torch.zeros(1, 7, 9, 9), None, r'\(1, 7, 9, 9\): expected 8 channels'),
    (torch.zeros(1, 8, 1, 9), None, 'not smaller than the kernel'),
    (torch.zeros(1, 8, 9, 9).double(), None, 'float64 on cpu: expected float32'),
    (torch.zeros(1, 8, 9, 9), torch.zeros(1, 16, 3, 1), r'addition of shape \(1, 16, 3, 1\)'),
    (torch.zeros(1, 8, 9, 9), torch.zeros(1, 16, 3, 3).half(), 'float16')])
def test_what_does_not_fit_is_refused(
        x: torch.Tensor, added: Optional[torch.Tensor], message: str) -> None:
    layer = DirectConvolution(nn.Conv2d(8, 16, 4, 3, 1).requires_grad_(False))
    with pytest.raises(ValueError, match=message):
        finish(layer.steps(x, added=added))


@pytest.mark.parametrize('kind', [WinogradConvolution, DirectConvolution])
def test_what_is_not_a_number_stays_so(kind: type[CompiledConvolution]) -> None:
    layer = convolution(8, 8)
    x = torch.zeros(1, 8, 8, 8)
    x[0, 0, 0, 0] = math.nan
    result = finish(convolve(kind(layer), x, relu=True))
    assert result[0, :, 0, 0].isnan().all() and not result[0, :, 7, 7].isnan().any()


@pytest.mark.parametrize('layer, kind', [
    (nn.Conv2d(8, 16, 3, padding=1), WinogradConvolution),
    (nn.Conv2d(8, 8, 3, padding=4, dilation=4), WinogradConvolution),
    (nn.Conv2d(8, 8, 3), DirectConvolution),
    (nn.Conv2d(8, 8, 3, 2, 1), DirectConvolution),
    (nn.Conv2d(8, 8, 3, padding=2), DirectConvolution),
    (nn.Conv2d(8, 8, 1), DirectConvolution),
    (nn.Conv2d(8, 8, 5, padding=2), DirectConvolution),
    (nn.Conv2d(3, 8, 3, padding=1), DirectConvolution),
    (nn.Conv2d(3, 8, 3, padding=2, dilation=2), DirectConvolution),
    (nn.Conv2d(8, 11, 3, padding=1), DirectConvolution)])
def test_what_a_convolution_becomes(layer: nn.Conv2d, kind: type[CompiledConvolution]) -> None:
    module = nn.Sequential(nn.Sequential(layer))
    use_compiled_convolutions(module)
    assert type(module[0][0]) is kind    # type: ignore[index]


@pytest.mark.parametrize('layer', [
    nn.Conv2d(8, 8, 3, padding=1, groups=2), nn.Conv2d(8, 8, 3, padding='same'),
    nn.Conv2d(8, 8, (1, 3)),
    nn.Conv2d(8, 8, 3, (1, 2)), nn.Conv2d(8, 8, 3, padding=(1, 2)),
    nn.Conv2d(8, 8, 3, padding=(1, 2), dilation=(1, 2)),
    nn.Conv2d(8, 8, 3, padding=1, padding_mode='reflect'),
    nn.Conv2d(8, 8, 3, padding=1).double(), nn.Conv2d(8, 8, 3, padding=1).bfloat16()])
def test_other_convolutions_stay_as_they_are(layer: nn.Conv2d) -> None:
    module = nn.Sequential(nn.Sequential(layer), convolution(8, 16))
    use_compiled_convolutions(module)
    assert module[0][0] is layer    # type: ignore[index]
    assert isinstance(module[1], CompiledConvolution)


@pytest.mark.parametrize('folded', [True, False])
def test_adapt_net_keeps_its_function(folded: bool) -> None:
    torch.manual_seed(0)
    network = SegmentationNetwork(VARIANTS['lite']('camvid', 11)).eval().requires_grad_(False)
    nn.init.normal_(network.adapt_net.correction.weight, std=0.1)
    if folded:
        fold_batch_norm(network)
    low, high = torch.randn(1, 56, 13, 17), torch.randn(1, 128, 13, 17)
    expected = network.double().adapt(low.double(), high.double())
    use_compiled_convolutions(network.float())
    assert isinstance(network.adapt_net.fuse, CompiledFusion) is folded
    assert_equal_but_for_rounding(network.adapt(low, high), expected)


def test_a_network_keeps_its_function() -> None:
    torch.manual_seed(0)
    network = SegmentationNetwork(VARIANTS['lite']('camvid', 11)).eval().requires_grad_(False)
    fold_batch_norm(network)
    image = torch.rand(1, 3, 83, 101) * 255
    expected = network.double()(image.double())
    use_compiled_convolutions(network.float())
    for kind in (WinogradConvolution, DirectConvolution):
        assert sum(isinstance(module, kind) for module in network.modules()) > 8
    assert not any(isinstance(module, nn.Conv2d) for module in network.modules())
    logits = network(image)
    assert (logits - expected).abs().max() < 1e-3 * expected.abs().max()
    assert (logits.argmax(1) != expected.argmax(1)).float().mean() < 0.005


@pytest.mark.parametrize('channels, adapted_channels', [(24, 11), (5, 40), (128, 96)])
@pytest.mark.parametrize('size', [(9, 13), (1, 1), (3, 45)])
def test_the_fusion_is_both_convolutions_and_what_they_correct(
        channels: int, adapted_channels: int, size: tuple[int, int]) -> None:
    fusion, correction = (nn.Conv2d(depth, channels, 1).requires_grad_(False)
                          for depth in (channels + adapted_channels, channels))
    propagated = torch.randn(2, channels, *size)
    adapted = torch.randn(2, adapted_channels, *size)
    fused = exact(fusion, torch.cat((propagated, adapted), 1)).relu()
    expected = propagated + exact(correction, fused)
    assert CompiledFusion.suits(fusion, correction)
    assert_equal_but_for_rounding(CompiledFusion(fusion, correction)(propagated, adapted),
                                  expected)


@pytest.mark.parametrize('propagated, adapted', [
    ((1, 8, 5, 6), (1, 5, 5, 6)), ((1, 7, 5, 6), (1, 4, 5, 6)), ((1, 8, 5, 6), (1, 4, 6, 5)),
    ((2, 8, 5, 6), (1, 4, 5, 6))])
def test_features_that_cannot_be_fused_are_refused(
        propagated: tuple[int, ...], adapted: tuple[int, ...]) -> None:
    fusion = CompiledFusion(nn.Conv2d(12, 8, 1), nn.Conv2d(8, 8, 1))
    with pytest.raises(ValueError, match='expected'):
        fusion(torch.zeros(propagated), torch.zeros(adapted))


@pytest.mark.parametrize('fusion, correction', [
    (nn.Conv2d(12, 8, 3, padding=1), nn.Conv2d(8, 8, 1)), (nn.Conv2d(12, 8, 1), nn.Identity()),
    (nn.Conv2d(12, 8, 1), nn.Conv2d(8, 8, 1, stride=2)),
    (nn.Conv2d(12, 8, 1), nn.Conv2d(8, 8, 1, padding=1))])
def test_other_layers_are_not_fused(fusion: nn.Module, correction: nn.Module) -> None:
    assert not CompiledFusion.suits(fusion, correction)


@each_level
def test_every_compiled_level_that_runs_here(
        path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    operators = operators_that_run_here(path)
    monkeypatch.setattr(compiled_convolution, 'operators', lambda: operators)
    for kind, layer in KINDS:
        layer.requires_grad_(False)
        x = torch.randn(1, layer.in_channels, 17, 22)
        assert_equal_but_for_rounding(kind(layer)(x), exact(layer, x))


def test_without_the_operators_nothing_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    native.library.cache_clear()
    monkeypatch.setenv(native.SWITCH, '0')
    try:
        module = nn.Sequential(convolution(8, 8))
        use_compiled_convolutions(module)
        assert isinstance(module[0], nn.Conv2d)
    finally:
        native.library.cache_clear()


def test_operators_that_cannot_be_loaded_are_done_without(tmp_path: pathlib.Path) -> None:
    broken = tmp_path / 'liblvs_native_broken.so'
    broken.write_text('not a library')
    with pytest.warns(UserWarning, match='Build lvs_ros again'):
        assert native._load(broken) is None


def test_operators_of_an_older_build_are_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(native._ARGUMENTS, 'lvs_of_tomorrow', [])
    with pytest.warns(UserWarning, match='lvs_of_tomorrow.*Build lvs_ros again'):
        assert native._load(compiled_levels()[0]) is None
