# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the convolutions of all backends have in common."""

from typing import Optional

import torch
from torch import nn


class Convolution(nn.Module):
    """Stands in for a convolution of one group and what follows it; for inference.

    It calls :func:`~lvs_ros.checkpoints.checkpoint` before it begins, and between its pieces.

    :param convolution: padded with zeros, with its batch norm folded in
    :param relu: negative results become 0
    """

    pieces = 1
    """Pieces that it is computed in where it may be interrupted."""

    def __init__(self, convolution: nn.Conv2d, *, relu: bool = False) -> None:
        super().__init__()
        self.in_channels, self.out_channels = convolution.in_channels, convolution.out_channels
        self.relu = relu

    @property
    def work(self) -> float:
        """Multiply-accumulates a position of the result."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor, added: Optional[torch.Tensor] = None) -> torch.Tensor:
        """Convolve.

        :param x: (B, C_in, H, W)
        :param added: (B, C_out, H', W'), what is added to the result, before the ReLU
        :return: (B, C_out, H', W'), channels last
        """
        raise NotImplementedError
