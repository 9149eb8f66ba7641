# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The deviation net: how many labels have changed since the key frame (paper, section 3.3)."""

import torch
from torch import nn

from lvs_ros.model.convolution import NormedConvolutions
from lvs_ros.model.resnet import conv_bn_relu
from lvs_ros.native.library import channels_last, operators, pointer, takes


class DeviationNet(nn.Module):
    """Two convolutions on the difference of the low features, global pooling, one linear layer."""

    def __init__(self, low_channels: int, channels: int, *, stride: int) -> None:
        super().__init__()
        self.convolutions = NormedConvolutions(
            *conv_bn_relu(low_channels, channels, 3, stride=stride),
            *conv_bn_relu(channels, channels, 3))
        self.linear = nn.Linear(channels, 1)

    def logit(self, key_low: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
        """Deviation before the sigmoid, (B,) float32: what training works on."""
        features = self.convolutions(low - key_low)
        if takes(features, self.linear.weight, self.linear.bias):
            return _linear_of_mean(self.linear, features)
        pooled = features.float().mean((2, 3))
        with torch.autocast(low.device.type, enabled=False):
            return nn.functional.linear(
                pooled, self.linear.weight.float(), self.linear.bias.float()).flatten()

    def forward(self, key_low: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
        """Predict the deviation.

        :param key_low: (B, C_l, h, w), F_l of the key frame
        :param low: (B, C_l, h, w), F_l of the frame
        :return: (B,) float32 in [0, 1]: fraction of pixels whose label differs between the two;
            NaN where features were not finite, or overflowed
        """
        logit = self.logit(key_low, low)
        return logit.sigmoid() + 0 * logit    # of infinity alone, it would be 0 or 1


def _linear_of_mean(linear: nn.Linear, features: torch.Tensor) -> torch.Tensor:
    """(B, C, h, w) float32 on the CPU → the layer on the mean of all positions, (B,)."""
    features = channels_last(features)
    batch, channels, height, width = features.shape
    result = torch.empty(batch, dtype=torch.float32, device='cpu')
    for index in range(batch):
        operators().lvs_linear_of_mean(
            pointer(features, index), pointer(linear.weight), pointer(linear.bias),
            pointer(result, index), height * width, channels)
    return result
