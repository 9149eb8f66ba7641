# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Synthetic camera motion: a labelled frame that stands alone becomes a piece of video.

A car that drives forward sees the scene grow out of the focus of expansion, near things faster
than far ones. Each random motion is such a growth, with a speed that varies smoothly over the
picture and from class to class (which gives edges where things are uncovered), together with
some yaw, pitch and roll.
"""

import dataclasses

import torch
from torch.nn import functional

_LARGEST_GROWTH = 0.4


@dataclasses.dataclass(frozen=True)
class Motion:
    """One random motion a sample; tensors begin with the batch dimension.

    :param growth: (B, H, W) relative growth between the oldest and the newest frame
    :param focus: (B, 1, 1, 2) focus of expansion, -1..1
    :param shift: (B, 1, 1, 2) camera rotation seen as a shift, -1..1
    :param roll: (B, 1, 1) radians
    """

    growth: torch.Tensor
    focus: torch.Tensor
    shift: torch.Tensor
    roll: torch.Tensor

    def back(self, points: torch.Tensor, fraction: float) -> torch.Tensor:
        """Where the content of each pixel is read, so much of the motion before the newest frame.

        :param points: (B, H, W, 2) pixel centres
        :param fraction: 0 = newest frame, 1 = oldest
        :return: (B, H, W, 2)
        """
        away = points - self.focus
        roll = self.roll * fraction
        turned = torch.stack((away[..., 0] - roll * away[..., 1],
                              away[..., 1] + roll * away[..., 0]), -1)
        return (self.focus + turned * (1 + self.growth * fraction)[..., None]
                + self.shift * fraction)


def random_motion(labels: torch.Tensor) -> Motion:
    """Draw a motion for each sample of a batch.

    :param labels: (B, H, W) int64 class ids of the newest frame; each class gets a speed
    """
    count, height, width = labels.shape
    device = labels.device

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, device=device)

    # a power above 1: slow motion and standing still must be well represented
    strength = uniform(count, 1, 1) ** 1.5
    backwards = torch.where(uniform(count, 1, 1) < 0.1, -0.5, 1.0)
    smooth = functional.interpolate(
        uniform(count, 1, 4, 6), (height, width), mode='bicubic', align_corners=False)[:, 0]
    by_class = torch.gather(0.5 + uniform(count, 256), 1, labels.reshape(count, -1))
    growth = (_LARGEST_GROWTH * strength * backwards * (0.25 + smooth)
              * by_class.reshape(count, height, width))
    focus = (uniform(count, 1, 1, 2) - 0.5) * 0.6
    swing = torch.tensor([0.16, 0.05], device=device)
    shift = (uniform(count, 1, 1, 2) * 2 - 1) * swing * strength[..., None]
    roll = (uniform(count, 1, 1) * 2 - 1) * 0.03 * strength
    return Motion(growth=growth, focus=focus, shift=shift, roll=roll)
