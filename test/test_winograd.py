# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Winograd convolutions: plain convolutions in float64 tell what comes out."""

import ctypes
import math
import pathlib
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import lvs_ros
from lvs_ros.model import VARIANTS, SegmentationNetwork, winograd
from lvs_ros.model.convolution import convolve
from lvs_ros.model.folding import fold_batch_norm
from lvs_ros.model.steps import advance, finish
from lvs_ros.model.winograd import WinogradConvolution, suits, use_winograd
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
    return functional.conv2d(x.double(), layer.weight.double(), bias, padding=layer.padding,
                             dilation=layer.dilation)


def assert_equal_but_for_rounding(result: torch.Tensor, expected: torch.Tensor) -> None:
    assert result.shape == expected.shape and result.dtype == torch.float32
    assert (result.double() - expected).abs().max() <= 1e-5 * (1 + expected.abs().max())


@settings(deadline=None, max_examples=60)
@given(channels_in=st.sampled_from([8, 24, 40]), channels_out=st.sampled_from([8, 16, 56]),
       dilation=st.integers(1, 5), height=st.integers(1, 23), width=st.integers(1, 23),
       batch=st.integers(1, 2), bias=st.booleans(), channels_last=st.booleans())
def test_it_is_the_convolution(channels_in: int, channels_out: int, dilation: int, height: int,
                               width: int, batch: int, bias: bool, channels_last: bool) -> None:
    layer = convolution(channels_in, channels_out, dilation, bias=bias)
    x = torch.randn(batch, channels_in, height, width)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    assert_equal_but_for_rounding(WinogradConvolution(layer)(x), exact(layer, x))


@pytest.mark.parametrize('count', [1, 2, 7, 36, 50])
@pytest.mark.parametrize('relu', [False, True])
def test_steps_addition_and_relu(count: int, relu: bool) -> None:
    layer = convolution(16, 24, 2)
    x, added = torch.randn(2, 16, 9, 14), torch.randn(2, 24, 9, 14)
    result = finish(WinogradConvolution(layer).steps(x, count, added=added, relu=relu))
    expected = exact(layer, x) + added.double()
    assert_equal_but_for_rounding(result, expected.clamp(min=0) if relu else expected)
    steps = 1 + len(list(WinogradConvolution(layer).steps(x, count)))
    assert 2 <= steps <= 2 * count    # two images


class Counting:
    """The compiled operators; notes how much of a convolution each call computes."""

    def __init__(self) -> None:
        self.work: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(native.library(), name)

    def lvs_winograd(self, *arguments: Any) -> None:
        channels_in, channels_out = arguments[7:9]
        first, last = arguments[11:13]
        self.work.append((last - first) * channels_in * channels_out)
        native.library().lvs_winograd(*arguments)    # type: ignore[union-attr]


def test_no_step_of_s_h_computes_more_than_a_sixtieth(monkeypatch: pytest.MonkeyPatch) -> None:
    operators = Counting()
    monkeypatch.setattr(winograd, 'library', lambda: operators)
    torch.manual_seed(0)
    network = SegmentationNetwork(VARIANTS['lite']('camvid', 11)).eval().requires_grad_(False)
    fold_batch_norm(network)
    use_winograd(network)
    steps, work = network.high_steps(network.low(torch.rand(1, 3, 360, 480))), []
    result = None
    while result is None:
        before = len(operators.work)
        with torch.no_grad():    # else it is training, which is never interrupted
            result = advance(steps)
        work.append(sum(operators.work[before:]))
    assert max(work) <= sum(work) / 60


def test_what_is_not_a_number_stays_so() -> None:
    layer = convolution(8, 8)
    x = torch.zeros(1, 8, 8, 8)
    x[0, 0, 0, 0] = math.nan
    result = finish(convolve(WinogradConvolution(layer), x, relu=True))
    assert result[0, :, 0, 0].isnan().all() and not result[0, :, 7, 7].isnan().any()


@pytest.mark.parametrize('layer', [
    nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, padding=2),
    nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 5, padding=2), nn.Conv2d(8, 8, 3, padding=1, groups=2),
    nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 11, 3, padding=1),
    nn.Conv2d(8, 8, 3, padding=(1, 2), dilation=(1, 2)),
    nn.Conv2d(8, 8, 3, padding=1, padding_mode='reflect'),
    nn.Conv2d(8, 8, 3, padding=1).double(), nn.Conv2d(8, 8, 3, padding=1).bfloat16()])
def test_other_convolutions_stay_as_they_are(layer: nn.Conv2d) -> None:
    module = nn.Sequential(nn.Sequential(layer), convolution(8, 16))
    use_winograd(module)
    assert module[0][0] is layer    # type: ignore[index]
    assert isinstance(module[1], WinogradConvolution)


def test_a_network_keeps_its_function() -> None:
    torch.manual_seed(0)
    network = SegmentationNetwork(VARIANTS['lite']('camvid', 11)).eval().requires_grad_(False)
    fold_batch_norm(network)
    image = torch.rand(1, 3, 83, 101) * 255
    expected = network.double()(image.double())
    use_winograd(network.float())
    replaced = [m for m in network.modules() if isinstance(m, WinogradConvolution)]
    assert len(replaced) > 20
    logits = network(image)
    assert (logits - expected).abs().max() < 1e-3 * expected.abs().max()
    assert (logits.argmax(1) != expected.argmax(1)).float().mean() < 0.005


def compiled_levels() -> list[pathlib.Path]:
    return [path for folder in lvs_ros.__path__
            for path in sorted(pathlib.Path(folder, 'native').glob('liblvs_native_*.so'))]


@pytest.mark.parametrize('path', compiled_levels(), ids=lambda path: path.stem)
def test_every_compiled_level_that_runs_here(
        path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    level = path.stem.removeprefix('liblvs_native_')
    if level not in native._levels():
        pytest.skip(f'this processor cannot run {level}')
    operators = ctypes.CDLL(str(path))
    monkeypatch.setattr(winograd, 'library', lambda: operators)
    layer = convolution(24, 40, 3)
    x = torch.randn(1, 24, 17, 22)
    assert_equal_but_for_rounding(WinogradConvolution(layer)(x), exact(layer, x))


def test_without_the_operators_nothing_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    native.library.cache_clear()
    monkeypatch.setenv(native.SWITCH, '0')
    try:
        assert not suits(convolution(8, 8))
    finally:
        native.library.cache_clear()


def test_operators_that_cannot_be_loaded_are_done_without(tmp_path: pathlib.Path) -> None:
    broken = tmp_path / 'liblvs_native_broken.so'
    broken.write_text('not a library')
    with pytest.warns(UserWarning, match='Build lvs_ros again'):
        assert native._load(broken) is None
