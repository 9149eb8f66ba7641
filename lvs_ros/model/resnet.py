# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A ResNet of output stride 8, cut into a lower part S_l and a higher part S_h.

He et al., "Deep residual learning", CVPR 2016; dilated as in Yu and Koltun, "Dilated residual
networks", CVPR 2017. Parameter names are torchvision's, so that its weights fit.
"""

from typing import Optional, cast

import torch
from torch import nn
from torch.nn import functional

from lvs_ros.model.config import BLOCKS, BOTTLENECK, ModelConfig


def conv_bn_relu(channels_in: int, channels_out: int, size: int, *, stride: int = 1,
                 dilation: int = 1) -> nn.Sequential:
    """Return convolution ("same" padding), batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, size, stride, dilation * (size // 2), dilation,
                  bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, channels_in: int, width: int, *, stride: int,
                 dilations: tuple[int, int]) -> None:
        super().__init__()
        first, second = dilations
        self.conv1 = nn.Conv2d(channels_in, width, 3, stride, first, first, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, second, second, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(channels_in, width * self.expansion, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C_in, H, W) → (B, width, H / stride, W / stride)."""
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        shortcut = x if self.downsample is None else self.downsample(x)
        return functional.relu(self.bn2(self.conv2(y)) + shortcut, inplace=True)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions and a shortcut; the stride is in the 3x3 one."""

    expansion = 4

    def __init__(self, channels_in: int, width: int, *, stride: int,
                 dilations: tuple[int, int]) -> None:
        super().__init__()
        dilation = dilations[0]
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.downsample = _shortcut(channels_in, width * self.expansion, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C_in, H, W) → (B, 4 * width, H / stride, W / stride)."""
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = functional.relu(self.bn2(self.conv2(y)), inplace=True)
        shortcut = x if self.downsample is None else self.downsample(x)
        return functional.relu(self.bn3(self.conv3(y)) + shortcut, inplace=True)


class SplitResNet(nn.Module):
    """The backbone; :meth:`low` and :meth:`high` are its two parts."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        block = Bottleneck if config.backbone in BOTTLENECK else BasicBlock
        width = config.base_width
        self.stem: nn.Module
        self.stem, channels = _stem(config)
        self.low_blocks = 0      # residual blocks in S_l
        self.low_channels = 0    # channels of F_l
        self.quarter_channels = width * block.expansion    # of stage 1, at a quarter of the image
        split = config.split_at()
        for stage, count in enumerate(BLOCKS[config.backbone], start=1):
            blocks = []
            for index in range(count):
                blocks.append(block(
                    channels, width,
                    stride=2 if stage == 2 and index == 0 else 1,
                    dilations=_dilations(stage, index, config.dilation)))
                channels = width * block.expansion
                if (stage, index) <= split:
                    self.low_blocks += 1
                    self.low_channels = channels
            self.add_module(f'layer{stage}', nn.Sequential(*blocks))
            width *= 2
        self.out_channels = channels
        self.expansion = block.expansion

    def low(self, image: torch.Tensor) -> torch.Tensor:
        """S_l: a normalised image (B, 3, H, W) → (B, low_channels, H/8, W/8)."""
        return self.low_and_quarter(image)[0]

    def low_and_quarter(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """S_l, and what stage 1 has come to: (B, quarter_channels, H/4, W/4)."""
        quarter = self.stem(image)
        for block in self.stage(1):
            quarter = block(quarter)
        x = quarter
        for block in self.blocks()[len(self.stage(1)):self.low_blocks]:
            x = block(x)
        return x, quarter

    def high(self, low: torch.Tensor) -> torch.Tensor:
        """First half of S_h: F_l → (B, out_channels, H/8, W/8)."""
        for block in self.high_blocks():
            low = block(low)
        return low

    def stage(self, number: int) -> nn.Sequential:
        """The residual blocks of stage 1..4."""
        return cast(nn.Sequential, getattr(self, f'layer{number}'))

    def blocks(self) -> list[nn.Module]:
        """All residual blocks in order."""
        return [block for number in range(1, 5) for block in self.stage(number)]

    def high_blocks(self) -> list[nn.Module]:
        """The residual blocks of S_h in order."""
        return self.blocks()[self.low_blocks:]


def _stem(config: ModelConfig) -> tuple[nn.Sequential, int]:
    width = config.base_width
    pool = nn.MaxPool2d(3, stride=2, padding=1)
    if config.stem == 'conv7':
        return nn.Sequential(*conv_bn_relu(3, width, 7, stride=2), pool), width
    widths = (width, width, width * 2) if config.stem == 'conv3_wide' else (
        width // 2, width // 2, width)
    return nn.Sequential(
        *conv_bn_relu(3, widths[0], 3, stride=2), *conv_bn_relu(widths[0], widths[1], 3),
        *conv_bn_relu(widths[1], widths[2], 3), pool), widths[2]


def _dilations(stage: int, index: int, pattern: str) -> tuple[int, int]:
    # of the first 3x3 convolution of a block, and of the second, which only basic blocks have
    full = {1: 1, 2: 1, 3: 2, 4: 4}[stage]
    first = full if pattern == 'uniform' or index else max(1, full // 2)
    return first, {'half_conv1': full, 'conv1_only': 1}.get(pattern, first)


def _shortcut(channels_in: int, channels_out: int, stride: int) -> Optional[nn.Sequential]:
    if stride == 1 and channels_in == channels_out:
        return None
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
                         nn.BatchNorm2d(channels_out))
