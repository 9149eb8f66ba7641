# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The kernel predictor: where the content of each position was in the key frame (section 3.2)."""

import torch
from torch import nn

from lvs_ros.model.resnet import conv_bn_relu


class KernelPredictor(nn.Module):
    """From the low features of two frames to one softmax kernel a position.

    The first convolution is shared by both frames and looks at one frame alone; a caller keeps
    the key frame's :meth:`embed` and saves half of that work on every later frame.
    """

    def __init__(self, low_channels: int, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.embedding = conv_bn_relu(low_channels, channels, 3)
        self.compare = conv_bn_relu(2 * channels, channels, 3)
        self.taps = nn.Conv2d(channels, kernel_size * kernel_size, 1)

    def embed(self, low: torch.Tensor) -> torch.Tensor:
        """F_l (B, C_l, h, w) → (B, C_e, h, w)."""
        return self.embedding(low)

    def forward(self, key_embedding: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """Predict the kernels.

        :param key_embedding: (B, C_e, h, w) of the key frame
        :param embedding: (B, C_e, h, w) of the frame to label
        :return: (B, H_K², h, w); non-negative, the taps of each position sum to 1
        """
        taps = self.taps(self.compare(torch.cat((key_embedding, embedding), 1)))
        # In float32, as 81 exponentials in 16 bits lose the small taps; and with the taps last,
        # where the layout channels last has them next to each other.
        kernels = taps.permute(0, 2, 3, 1).softmax(3, dtype=torch.float32)
        return kernels.permute(0, 3, 1, 2).to(taps.dtype)
