# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Channels filled up to what a processor's vector registers hold: the same function, faster.

With 28 channels in channels-last order, a convolution takes twice as long as with 32.
"""

import math
from typing import cast

import torch
from torch import nn

from lvs_ros.model.resnet import SplitResNet

_MULTIPLE = 8    # float32 values in an AVX2 register


def pad_first_stage(backbone: SplitResNet) -> None:
    """Add channels of zeros inside the stem and stage 1, in place; batch norm must be folded.

    What is added stays zero up to the first block of stage 2, whose weights for it are zero.
    """
    previous = 0    # channels that were added to the input
    for convolution in cast(nn.Sequential, backbone.stem):
        if isinstance(convolution, nn.Conv2d):
            previous = _pad(convolution, before=previous, after=True)
    for block in backbone.stage(1):
        entered = previous
        for name in ('conv1', 'conv2', 'conv3'):
            if hasattr(block, name):
                previous = _pad(getattr(block, name), before=previous, after=True)
        _pad_shortcut(block, before=entered, after=True)
    leaving = backbone.stage(2)[0]
    _pad(cast(nn.Conv2d, leaving.conv1), before=previous, after=False)
    _pad_shortcut(leaving, before=previous, after=False)


def _pad_shortcut(block: nn.Module, *, before: int, after: bool) -> None:
    if block.downsample is not None:
        _pad(cast(nn.Conv2d, cast(nn.Sequential, block.downsample)[0]), before=before, after=after)


def _pad(convolution: nn.Conv2d, *, before: int, after: bool) -> int:
    """Append input channels of zeros and, if wanted, output channels; return how many of those."""
    channels = convolution.out_channels
    added = math.ceil(channels / _MULTIPLE) * _MULTIPLE - channels if after else 0
    convolution.weight = _enlarged(convolution.weight, (0, 0, 0, 0, 0, before, 0, added))
    assert convolution.bias is not None
    convolution.bias = _enlarged(convolution.bias, (0, added))
    convolution.in_channels += before
    convolution.out_channels += added
    return added


def _enlarged(values: torch.Tensor, amounts: tuple[int, ...]) -> nn.Parameter:
    return nn.Parameter(nn.functional.pad(values.detach(), amounts), requires_grad=False)
