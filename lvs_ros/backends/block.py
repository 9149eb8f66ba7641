# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A residual block for inference: batch norm, addition and ReLU are part of its convolutions."""

from typing import Optional, Sequence

import torch
from torch import nn

from lvs_ros.backends.convolution import Convolution


class ResidualBlock(nn.Module):
    """Stands in for a :class:`~lvs_ros.model.resnet.BasicBlock` or a
    :class:`~lvs_ros.model.resnet.Bottleneck`; for inference.

    :param convolutions: with their ReLU; the last one's comes after the addition
    :param downsample: of the shortcut; None = it is the input itself
    """

    def __init__(self, convolutions: Sequence[Convolution],
                 downsample: Optional[Convolution]) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(convolutions)
        self.downsample = downsample

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C_in, H, W) → (B, C_out, H', W'), channels last."""
        *others, last = self.convolutions
        y = x
        for convolution in others:
            y = convolution(y)
        return last(y, x if self.downsample is None else self.downsample(x))
