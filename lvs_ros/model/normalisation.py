# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What an image goes through before the network sees it."""

from typing import Sequence

import torch
from torch import nn


class Normalisation(nn.Module):
    """Takes the training set's mean off and divides by its deviation.

    :param mean: of each channel, 0..255
    :param std: of each channel
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer('mean', torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Normalise an image.

        :param image: (B, 3, H, W) uint8 or float, RGB, 0..255
        :return: the same shape, float
        """
        if not image.is_floating_point():
            image = image.to(self.mean.dtype, memory_format=torch.channels_last)
        scale = 1 / self.std
        shift = -self.mean * scale
        rows = image.permute(0, 2, 3, 1)
        if not rows.is_contiguous():
            return torch.addcmul(shift, image, scale)
        # Channels last: the same on whole rows, as runs of three values would be slow on a CPU.
        width = image.shape[3]
        scale, shift = scale.flatten().repeat(width), shift.flatten().repeat(width)
        return torch.addcmul(shift, rows.flatten(2), scale).view(rows.shape).permute(0, 3, 1, 2)
