# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Channels filled up to what the fast kernels take, eights: the same function."""

from typing import Sequence, cast

import torch
from torch import nn

from lvs_ros.backends.cpu.library import LANES
from lvs_ros.model.resnet import SplitResNet


def pad_first_stage(backbone: SplitResNet, readers: Sequence[nn.Conv2d] = ()) -> None:
    """Add channels of zeros inside the stem and stage 1, in place; batch norm must be folded.

    What is added stays zero up to the first block of stage 2, whose weights for it are zero.

    :param readers: what else reads stage 1
    """
    first, *others = (module for part in (backbone.stem, backbone.stage(1))
                      for module in part.modules() if isinstance(module, nn.Conv2d))
    _pad(first, before=0, after=-first.out_channels % LANES)
    for convolution in others:
        _pad(convolution, before=-convolution.in_channels % LANES,
             after=-convolution.out_channels % LANES)
    block = backbone.stage(2)[0]
    for leaving in (block.conv1, cast(nn.Sequential, block.downsample)[0], *readers):
        convolution = cast(nn.Conv2d, leaving)
        _pad(convolution, before=-convolution.in_channels % LANES, after=0)


def _pad(convolution: nn.Conv2d, *, before: int, after: int) -> None:
    """Append so many input and output channels of zeros."""
    convolution.weight = _extended(convolution.weight, (0, 0, 0, 0, 0, before, 0, after))
    assert convolution.bias is not None
    convolution.bias = _extended(convolution.bias, (0, after))
    convolution.in_channels += before
    convolution.out_channels += after


def _extended(values: torch.Tensor, amounts: tuple[int, ...]) -> nn.Parameter:
    return nn.Parameter(nn.functional.pad(values.detach(), amounts), requires_grad=False)
