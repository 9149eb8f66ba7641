# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How features get from one frame to another; exchangeable, so that rows can be compared."""

from typing import Any, Protocol

import torch

from lvs_ros.model import SegmentationNetwork


class Propagation(Protocol):
    """Moves F_h from an earlier frame to the present one."""

    def describe(self, image: torch.Tensor, low: torch.Tensor) -> Any:
        """Return what must be kept of a frame so that features can be moved from or to it.

        :param image: (1, 3, H, W) float RGB 0..255
        :param low: (1, C_l, h, w), its F_l
        """

    def move(self, source: Any, target: Any, high: torch.Tensor, low: torch.Tensor
             ) -> torch.Tensor:
        """Return F_h of the present frame, (1, C_h, h, w).

        :param source: :meth:`describe` of the frame that the features belong to
        :param target: :meth:`describe` of the present frame
        :param high: (1, C_h, h, w), F_h of the source
        :param low: (1, C_l, h, w), F_l of the present frame
        """


class SpatiallyVariantPropagation:
    """The paper's: predicted kernels, spatially variant convolution, AdaptNet (section 3.2)."""

    def __init__(self, network: SegmentationNetwork) -> None:
        self._network = network

    def describe(self, image: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
        """The kernel predictor's view of the frame, (1, C_e, h, w)."""
        return self._network.embed(low)

    def move(self, source: torch.Tensor, target: torch.Tensor, high: torch.Tensor,
             low: torch.Tensor) -> torch.Tensor:
        """Convolve with the predicted kernels and adapt to the frame's own low features."""
        return self._network.adapt(low, self._network.propagate(source, target, high))


class HoldPropagation:
    """The key frame's features as they are (Clockwork Net, Shelhamer et al., 2016)."""

    def describe(self, image: torch.Tensor, low: torch.Tensor) -> None:
        """Nothing needs to be kept."""

    def move(self, source: None, target: None, high: torch.Tensor, low: torch.Tensor
             ) -> torch.Tensor:
        """Return the features unchanged."""
        return high
