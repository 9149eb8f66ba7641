# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""AdaptNet: what the frame's own low features add to the propagated ones (section 3.2)."""

import torch
from torch import nn

from lvs_ros.model.resnet import conv_bn_relu


class AdaptNet(nn.Module):
    """Three 3x3 convolutions on F_l, fused with the propagated F_h.

    The fusion is a correction that is added to the propagated features. Its last layer starts at
    zero, so that training sets out from plain propagation.
    """

    def __init__(self, low_channels: int, channels: int, high_channels: int) -> None:
        super().__init__()
        # Dilated, which the paper's are not: more of the surroundings for the same work.
        self.convolutions = nn.Sequential(
            *conv_bn_relu(low_channels, channels, 3),
            *conv_bn_relu(channels, channels, 3, dilation=2),
            *conv_bn_relu(channels, channels, 3, dilation=4))
        self.fuse = conv_bn_relu(high_channels + channels, high_channels, 1)
        self.correction = nn.Conv2d(high_channels, high_channels, 1)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)  # type: ignore[arg-type]

    def forward(self, low: torch.Tensor, propagated: torch.Tensor) -> torch.Tensor:
        """Correct the propagated features.

        :param low: (B, C_l, h, w), F_l of the frame
        :param propagated: (B, C_h, h, w), F_h moved from the key frame
        :return: (B, C_h, h, w)
        """
        fused = self.fuse(torch.cat((propagated, self.convolutions(low)), 1))
        return self.correction(fused) + propagated
