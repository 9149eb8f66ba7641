# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The deviation net: its equation by hand in float64, and the native end of it."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from lvs_ros.backends.cpu.linear_of_mean import NativeLinearOfMean
from lvs_ros.model.deviation_net import DeviationNet, LinearOfMean
from native_levels import each_level, forced, needs_kernels


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


@pytest.mark.parametrize('stride', [1, 2])
def test_it_is_the_equation(stride: int) -> None:
    torch.manual_seed(0)
    net = DeviationNet(6, 8, stride=stride).eval().requires_grad_(False)
    key_low, low = torch.rand(3, 6, 9, 7), torch.rand(3, 6, 9, 7)
    found = net.logit(key_low, low)
    assert found.shape == (3,) and found.dtype == torch.float32
    torch.testing.assert_close(found.double(), by_hand(net, key_low, low), rtol=0, atol=1e-6)


def test_it_can_be_trained() -> None:
    net = DeviationNet(4, 8, stride=1)
    net(torch.rand(2, 4, 8, 8), torch.rand(2, 4, 8, 8)).sum().backward()
    for parameter in net.parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0


@needs_kernels
@each_level
@pytest.mark.parametrize('size, channels', [((1, 1), 1), ((1, 7), 3), ((23, 30), 32),
                                            ((128, 256), 40)])
def test_the_native_layer_on_the_mean_of_all_positions(
        level: str, size: tuple[int, int], channels: int) -> None:
    generator = torch.Generator().manual_seed(channels)
    features = 1000 + torch.rand(2, channels, *size, generator=generator)
    linear = LinearOfMean(channels, 1).requires_grad_(False)
    with forced(level):
        found = NativeLinearOfMean(linear)(features)
    expected = features.double().mean((2, 3)) @ linear.weight.double().T + linear.bias.double()
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-6)
