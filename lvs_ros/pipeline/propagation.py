# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How features get from one frame to another; exchangeable, so that rows can be compared."""

from typing import Optional, Protocol

import cv2
import torch

from lvs_ros.backends import stages
from lvs_ros.model import SegmentationNetwork
from lvs_ros.pipeline.optical_flow import OpticalFlow


class Propagation(stages.Propagation, Protocol):
    """Moves F_h from an earlier frame to the present one."""

    flow: Optional[OpticalFlow]    # that it uses


class SpatiallyVariantPropagation:
    """The paper's: predicted kernels, spatially variant convolution, AdaptNet (section 3.2).

    Where the network asks for it, optical flow brings the features close to their place first.
    """

    def __init__(self, network: SegmentationNetwork) -> None:
        self._network = network
        self.flow = OpticalFlow() if network.config.alignment == 'flow' else None

    def embed(self, low: torch.Tensor) -> torch.Tensor:
        """Return the kernel predictor's view of a frame."""
        return self._network.embed(low)

    def move(self, source: stages.Source, now: stages.LowFeatures) -> torch.Tensor:
        """Convolve with the predicted kernels and adapt to the frame's own low features."""
        assert source.embedding is not None and now.embedding is not None
        return self._network.adapt(now.low, self._network.propagate(
            source.embedding, now.embedding, source.high, source.displacement))


class FlowPropagation:
    """Warp the key frame's features by optical flow alone (Deep Feature Flow, Zhu et al., 2017).

    DIS at its careful preset and the full size of the image takes the place of FlowNet.

    :param network: whose :attr:`warp` moves the features
    """

    def __init__(self, network: SegmentationNetwork) -> None:
        self._network = network
        self.flow: Optional[OpticalFlow] = OpticalFlow(
            cv2.DISOPTICAL_FLOW_PRESET_MEDIUM, shortest_side=1 << 16)

    def embed(self, low: torch.Tensor) -> None:
        """Nothing is needed besides F_l."""

    def move(self, source: stages.Source, now: stages.LowFeatures) -> torch.Tensor:
        """Warp the features."""
        assert source.displacement is not None
        return self._network.warp(source.high, source.displacement)


class HoldPropagation:
    """The key frame's features as they are (Clockwork Net, Shelhamer et al., 2016)."""

    flow: Optional[OpticalFlow] = None

    def embed(self, low: torch.Tensor) -> None:
        """Nothing is needed besides F_l."""

    def move(self, source: stages.Source, now: stages.LowFeatures) -> torch.Tensor:
        """Return the features unchanged."""
        return source.high
