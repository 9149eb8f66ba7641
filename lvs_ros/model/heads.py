# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The second half of S_h: from the backbone's output to the features F_h that are propagated."""

import torch
from torch import nn

from lvs_ros.checkpoints import checkpoint
from lvs_ros.model.config import ModelConfig
from lvs_ros.model.resnet import conv_bn_relu
from lvs_ros.ops.resampling import average_pool, interpolate


class PyramidPoolingHead(nn.Module):
    """Pyramid pooling (Zhao et al., "Pyramid scene parsing network", CVPR 2017)."""

    bins = (1, 2, 3, 6)

    def __init__(self, channels_in: int, channels_out: int, *, align_corners: bool) -> None:
        super().__init__()
        width = channels_in // len(self.bins)
        self.align_corners = align_corners
        self.pools = nn.ModuleList(conv_bn_relu(channels_in, width, 1) for _ in self.bins)
        self.bottleneck = conv_bn_relu(channels_in + width * len(self.bins), channels_out, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C_in, h, w) → (B, C_h, h, w)."""
        levels = [x]
        for size, reduce in zip(self.bins, self.pools):
            checkpoint()
            pooled = reduce(average_pool(x, size))
            levels.append(interpolate(pooled, *x.shape[-2:], align_corners=self.align_corners))
        checkpoint()
        return self.bottleneck(torch.cat(levels, 1))


class LightHead(nn.Sequential):
    """One 3x3 convolution, as in FCN (Long et al., CVPR 2015)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(*conv_bn_relu(channels_in, channels_out, 3))


class FullyConvolutionalHead(nn.Module):
    """Two 3x3 convolutions, then one that sees their input, too: mmsegmentation's FCN."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList((conv_bn_relu(channels_in, channels_out, 3),
                                           conv_bn_relu(channels_out, channels_out, 3)))
        self.fuse = conv_bn_relu(channels_in + channels_out, channels_out, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C_in, h, w) → (B, C_h, h, w)."""
        y = x
        for convolution in self.convolutions:
            y = convolution(y)
        return self.fuse(torch.cat((x, y), 1))


Head = PyramidPoolingHead | LightHead | FullyConvolutionalHead


def build_head(config: ModelConfig, channels_in: int) -> Head:
    """Return the head that a configuration names, new."""
    if config.head == 'psp':
        return PyramidPoolingHead(channels_in, config.head_channels,
                                  align_corners=config.align_corners)
    head = LightHead if config.head == 'light' else FullyConvolutionalHead
    return head(channels_in, config.head_channels)
