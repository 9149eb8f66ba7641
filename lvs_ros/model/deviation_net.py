# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The deviation net: how many labels have changed since the key frame (paper, section 3.3)."""

import torch
from torch import nn
from torch.nn import functional

from lvs_ros.model.resnet import conv_bn_relu


class LinearOfMean(nn.Linear):
    """Global average pooling and one linear layer, in float32 whatever the features are in."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) → (B, out) float32."""
        pooled = features.mean((2, 3), dtype=torch.float32)    # no copy of them in float32
        with torch.autocast(features.device.type, enabled=False):
            return functional.linear(pooled, self.weight.float(), self.bias.float())


class DeviationNet(nn.Module):
    """Two convolutions on the difference of the low features, global pooling, one linear layer."""

    def __init__(self, low_channels: int, channels: int, *, stride: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            *conv_bn_relu(low_channels, channels, 3, stride=stride),
            *conv_bn_relu(channels, channels, 3))
        self.linear = LinearOfMean(channels, 1)

    def logit(self, key_low: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
        """Deviation before the sigmoid, (B,) float32: what training works on."""
        return self.linear(self.convolutions(low - key_low)).flatten()

    def forward(self, key_low: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
        """Predict the deviation.

        :param key_low: (B, C_l, h, w), F_l of the key frame
        :param low: (B, C_l, h, w), F_l of the frame
        :return: (B,) float32 in [0, 1]: fraction of pixels whose label differs between the two;
            NaN where features were not finite, or overflowed
        """
        logit = self.logit(key_low, low)
        return logit.sigmoid() + 0 * logit    # of infinity alone, it would be 0 or 1
