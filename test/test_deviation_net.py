# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The deviation net: its equation by hand in float64, and the compiled end of it."""

import pathlib

import pytest
import torch
from torch import nn
from torch.nn import functional

from compiled_operators import each_level, operators_that_run_here
from lvs_ros.model import deviation_net
from lvs_ros.model.deviation_net import DeviationNet
from lvs_ros.native import library as native


def by_hand(net: DeviationNet, key_low: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
    """Two convolutions with ReLU on the difference, the mean of all positions, a linear layer."""
    features = low.double() - key_low.double()
    first, norm, _, second, other, _ = net.double().convolutions
    for convolution, batch_norm in ((first, norm), (second, other)):
        assert isinstance(convolution, nn.Conv2d) and isinstance(batch_norm, nn.BatchNorm2d)
        features = functional.conv2d(features, convolution.weight, stride=convolution.stride,
                                     padding=1)
        mean, variance = batch_norm.running_mean, batch_norm.running_var
        assert mean is not None and variance is not None
        features = (features - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt()
        features = features.relu()
    pooled = features.flatten(2).sum(2) / features[0, 0].numel()
    return (pooled @ net.linear.weight.T + net.linear.bias)[:, 0]


@pytest.mark.parametrize('operators', ['compiled', 'torch'])
@pytest.mark.parametrize('stride', [1, 2])
def test_it_is_the_equation(operators: str, stride: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if operators == 'torch':
        monkeypatch.setattr(deviation_net, 'takes', lambda *_: False)
    elif native.library() is None:
        pytest.skip('no compiled operators for this processor')
    torch.manual_seed(0)
    net = DeviationNet(6, 8, stride=stride).eval().requires_grad_(False)
    key_low, low = torch.rand(3, 6, 9, 7), torch.rand(3, 6, 9, 7)
    found = net.logit(key_low, low)
    assert found.shape == (3,) and found.dtype == torch.float32
    torch.testing.assert_close(found.double(), by_hand(net, key_low, low), rtol=0, atol=1e-6)


@pytest.mark.skipif(native.library() is None, reason='no compiled operators for this processor')
def test_it_can_be_trained_where_there_are_compiled_operators() -> None:
    net = DeviationNet(4, 8, stride=1)
    net(torch.rand(2, 4, 8, 8), torch.rand(2, 4, 8, 8)).sum().backward()
    for parameter in net.parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0


@each_level
@pytest.mark.parametrize('positions, channels', [(1, 1), (7, 3), (690, 32), (32768, 40)])
def test_the_compiled_layer_on_the_mean_of_all_positions(
        path: pathlib.Path, positions: int, channels: int) -> None:
    operators = operators_that_run_here(path)
    assert operators is not None
    generator = torch.Generator().manual_seed(positions)
    features = 1000 + torch.rand(positions, channels, generator=generator)
    weight = torch.randn(channels, generator=generator)
    bias, result = torch.tensor([0.25]), torch.zeros(1)
    operators.lvs_linear_of_mean(
        *(native.pointer(tensor) for tensor in (features, weight, bias, result)), positions,
        channels)
    expected = float(features.double().mean(0) @ weight.double()) + 0.25
    assert result.item() == pytest.approx(expected, rel=1e-6, abs=1e-6)
