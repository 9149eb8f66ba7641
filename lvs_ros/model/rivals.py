# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the method is measured against and needs weights of its own. No part of the node.

Both share S_l, S_h and the classifier of the network that they are compared with.
"""

from typing import Optional

import torch
from torch import nn
from torch.nn import functional

from lvs_ros.model.adapt_net import AdaptNet
from lvs_ros.model.config import ModelConfig
from lvs_ros.model.network import SegmentationNetwork
from lvs_ros.ops.warp import warp


class SmallHead(nn.Module):
    """The small network on every frame: S_l, AdaptNet, classifier; nothing is propagated.

    AdaptNet is the one of the method, trained for this purpose; its propagated input is zero.
    """

    def __init__(self, config: ModelConfig, low_channels: int) -> None:
        super().__init__()
        self.high_channels = config.head_channels
        self.adapt_net = AdaptNet(low_channels, config.adapt_channels, config.head_channels)

    def forward(self, low: torch.Tensor) -> torch.Tensor:
        """F_l (B, C_l, h, w) → F_h (B, C_h, h, w)."""
        nothing = low.new_zeros(low.shape[0], self.high_channels, *low.shape[2:])
        return self.adapt_net(low, nothing)


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


class Rivals(nn.Module):
    """Both of them, for one network.

    The small head begins as the AdaptNet of the method, which has learnt to read F_l.

    :param network: what they are compared with
    """

    def __init__(self, network: SegmentationNetwork) -> None:
        super().__init__()
        self.config = network.config
        self.small_head = SmallHead(network.config, network.backbone.low_channels)
        self.small_head.adapt_net.load_state_dict(network.adapt_net.state_dict())
        self.recurrent = GatedRecurrentUnit(network.config.classes)


class SmallNetwork(SegmentationNetwork):
    """The network with :class:`SmallHead` as its S_h; shares the modules that it is given."""

    def __init__(self, network: SegmentationNetwork, head: SmallHead) -> None:
        nn.Module.__init__(self)
        self.config, self.origin = network.config, network.origin
        self.fallbacks = list(network.fallbacks)
        self._modules.update(network._modules)
        self.small_head = head

    def high(self, low: torch.Tensor) -> torch.Tensor:
        """F_l → F_h by the small head."""
        return self.small_head(low)


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
