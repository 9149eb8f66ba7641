# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the method is measured against and needs weights of its own. No part of the node."""

from typing import Optional, cast

import torch
from torch import nn
from torch.nn import functional

from lvs_ros.model.network import SegmentationNetwork
from lvs_ros.model.small_network import SMALL_SHAPES, SmallNetwork
from lvs_ros.ops.warp import warp


class GatedRecurrentUnit(nn.Module):
    """One step of gated recurrent flow propagation (Nilsson and Sminchisescu, "Semantic video
    segmentation by gated recurrent flow propagation", CVPR 2018, equations 2 to 7).

    It works on class probabilities, here at the size of the logits, and its sharpness (lambda)
    applies to both terms. Its convolutions begin as identities, so that training sets out from
    an average of past and present.
    """

    size = 5    # side of the convolutions

    def __init__(self, classes: int) -> None:
        super().__init__()

        def convolution(channels: int) -> nn.Conv2d:
            return nn.Conv2d(channels, classes, self.size, padding=self.size // 2)

        self.reset_image = convolution(3)      # W_ir
        self.candidate_now = convolution(classes)       # W_xh
        self.candidate_before = convolution(classes)    # W_hh
        self.update_now = convolution(classes)          # W_xz
        self.update_before = convolution(classes)       # W_hz
        self.sharpness = nn.Parameter(torch.tensor(5.0))    # lambda
        for gate in (self.reset_image, self.update_now, self.update_before):
            nn.init.normal_(gate.weight, std=0.01)
            nn.init.zeros_(gate.bias)  # type: ignore[arg-type]
        nn.init.ones_(self.update_now.bias)  # type: ignore[arg-type]
        for candidate in (self.candidate_now, self.candidate_before):
            nn.init.dirac_(candidate.weight)
            nn.init.zeros_(candidate.bias)  # type: ignore[arg-type]

    def forward(self, before: torch.Tensor, now: torch.Tensor, image_before: torch.Tensor,
                image: torch.Tensor, displacement: torch.Tensor) -> torch.Tensor:
        """Combine what is known of the earlier frame with the present segmentation.

        :param before: (B, classes, h, w), probabilities of the earlier frame, the state
        :param now: (B, classes, h, w), probabilities of the present frame alone
        :param image_before: (B, 3, h, w) 0..1, the earlier image at the size of the logits
        :param image: (B, 3, h, w) 0..1, the present one
        :param displacement: (B, 2, h, w), see :func:`~lvs_ros.ops.warp.warp`
        :return: (B, classes, h, w), probabilities: the new state
        """
        warped = warp(before, displacement)
        error = image - warp(image_before, displacement)
        # Where the warped image differs, the flow is wrong or something was uncovered.
        trust = 1 - self.reset_image(error).abs().tanh()
        candidate = self.candidate_now(now) + self.candidate_before(trust * warped)
        update = (self.update_now(now) + self.update_before(warped)).sigmoid()
        mixed = (1 - update) * trust * warped + update * candidate
        return (self.sharpness * mixed).softmax(1)


RIVALS = (*SMALL_SHAPES, 'recurrent')
"""Names of the rivals: of their modules, and of their stages of training."""


class Rivals(nn.Module):
    """All of them, for one network.

    :param network: what they are compared with
    :ivar trained: names of those that are; the others have random weights, and are not stored
    """

    def __init__(self, network: SegmentationNetwork) -> None:
        super().__init__()
        self.config = network.config
        self.trained: set[str] = set()
        for name, shape in SMALL_SHAPES.items():
            self.add_module(name, SmallNetwork(network.config, shape))
        self.recurrent = GatedRecurrentUnit(network.config.classes)

    def small_network(self, name: str) -> SmallNetwork:
        """Return one of :data:`~lvs_ros.model.small_network.SMALL_SHAPES`."""
        return cast(SmallNetwork, getattr(self, name))


def shrink(image: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Scale an image to the size of the logits, 0..1.

    :param image: (B, 3, H, W) float, RGB 0..255
    :return: (B, 3, height, width)
    """
    return functional.adaptive_avg_pool2d(image, (height, width)) / 255


def run_recurrent(unit: GatedRecurrentUnit, chances: list[torch.Tensor],
                  images: list[torch.Tensor], displacements: list[torch.Tensor]
                  ) -> torch.Tensor:
    """Run the unit over some consecutive frames, oldest first.

    :param chances: (B, classes, h, w) of each frame, its own probabilities
    :param images: (B, 3, h, w) of each frame, 0..1
    :param displacements: (B, 2, h, w), one less than frames: from each frame but the first back
        to the one before
    :return: (B, classes, h, w), probabilities of the newest frame
    """
    state: Optional[torch.Tensor] = None
    for index, chance in enumerate(chances):
        state = chance if state is None else unit(
            state, chance, images[index - 1], images[index], displacements[index - 1])
    assert state is not None
    return state
