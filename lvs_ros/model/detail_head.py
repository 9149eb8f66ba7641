# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Detail of the frame itself: logits at a quarter of the image in place of an eighth.

F_h, and with it what is propagated, has a position for every 8 pixels: a pole is narrower than
that. Its logits are enlarged and corrected by features of S_l at a quarter of the image, which
every frame computes anyway (as in the decoder of Chen et al., "Encoder-decoder with atrous
separable convolution", ECCV 2018).
"""

import torch
from torch import nn
from torch.nn import functional

from lvs_ros.model.resnet import conv_bn_relu
from lvs_ros.ops.resampling import interpolate


class DetailHead(nn.Module):
    """Corrects enlarged logits. Its last layer starts at zero: nothing is corrected.

    :param high_channels: of F_h
    :param detail_channels: of S_l at a quarter of the image
    :param channels: inside
    :param classes: number of classes
    :param align_corners: how logits and F_h are enlarged
    """

    def __init__(self, high_channels: int, detail_channels: int, channels: int, classes: int, *,
                 align_corners: bool) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.of_high = _conv_bn(high_channels, channels)
        self.of_detail = _conv_bn(detail_channels, channels)
        self.fuse = conv_bn_relu(channels, channels, 3)
        self.correction = nn.Conv2d(channels, classes, 1)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)  # type: ignore[arg-type]

    def forward(self, logits: torch.Tensor, high: torch.Tensor, detail: torch.Tensor
                ) -> torch.Tensor:
        """Enlarge and correct.

        :param logits: (B, classes, h, w), of F_h
        :param high: (B, C_h, h, w), F_h, computed or propagated
        :param detail: (B, C_d, H, W), of the frame itself, a position for every 4 pixels
        :return: logits, (B, classes, H, W)
        """
        x, logits = (interpolate(one, *detail.shape[2:], align_corners=self.align_corners)
                     for one in (self.of_high(high), logits))
        correction = self.correction(self.fuse(functional.relu(x + self.of_detail(detail))))
        return logits + correction


def _conv_bn(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 1, bias=False),
                         nn.BatchNorm2d(channels_out))
