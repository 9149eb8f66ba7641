# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Reading features where the content of each position was before."""

import torch
from torch import nn
from torch.nn import functional


def warp(features: torch.Tensor, displacement: torch.Tensor) -> torch.Tensor:
    """Warp features bilinearly; positions outside take the value at the border.

    :param features: (B, C, h, w), of the earlier frame
    :param displacement: (B, 2, h, w) float32, x and y in positions: the content that is at
        (x, y) now was at (x, y) + displacement in the earlier frame
    :return: (B, C, h, w)
    """
    height, width = features.shape[2:]
    # Pixel centres in -1..1, as grid_sample counts them without aligned corners.
    x = torch.arange(width, device=features.device) * 2 + (1 - width)
    y = torch.arange(height, device=features.device) * 2 + (1 - height)
    grid = torch.stack(((x + 2 * displacement[:, 0]) / width,
                        (y[:, None] + 2 * displacement[:, 1]) / height), -1)
    # Coordinates in 16 bits would be rounded to a visible part of a position.
    wide = torch.promote_types(features.dtype, torch.float32)
    return functional.grid_sample(features.to(wide), grid.to(wide), mode='bilinear',
                                  padding_mode='border', align_corners=False).to(features.dtype)


class Warp(nn.Module):
    """:func:`warp` as a module."""

    def forward(self, features: torch.Tensor, displacement: torch.Tensor) -> torch.Tensor:
        """See :func:`warp`."""
        return warp(features, displacement)
