# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How features get from one frame to another; exchangeable, so that rows can be compared."""

import dataclasses
from typing import Any, Optional, Protocol

import cv2
import numpy as np
import torch

from lvs_ros.model import SegmentationNetwork
from lvs_ros.pipeline.frame import Frame
from lvs_ros.pipeline.optical_flow import OpticalFlow
from lvs_ros.backends.cuda.transfer import to_device


class Propagation(Protocol):
    """Moves F_h from an earlier frame to the present one."""

    def describe(self, frame: Frame, low: torch.Tensor) -> Any:
        """Return what must be kept of a frame so that features can be moved from or to it.

        :param frame: the frame; its image must not be kept, only copies of it
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


@dataclasses.dataclass(frozen=True)
class FrameDescription:
    """What :class:`SpatiallyVariantPropagation` keeps of a frame.

    :param embedding: (1, C_e, h, w), the kernel predictor's view of it
    :param grey: the image for optical flow; None without alignment
    """

    embedding: torch.Tensor
    grey: Optional[np.ndarray]


class SpatiallyVariantPropagation:
    """The paper's: predicted kernels, spatially variant convolution, AdaptNet (section 3.2).

    Where the network asks for it, optical flow brings the features close to their place first.
    """

    def __init__(self, network: SegmentationNetwork) -> None:
        self._network = network
        self._flow = OpticalFlow() if network.config.alignment == 'flow' else None

    def describe(self, frame: Frame, low: torch.Tensor) -> FrameDescription:
        """Embed the frame, and keep a small grey image where optical flow is wanted."""
        return FrameDescription(self._network.embed(low),
                                None if self._flow is None else self._flow.grey(frame))

    def move(self, source: FrameDescription, target: FrameDescription, high: torch.Tensor,
             low: torch.Tensor) -> torch.Tensor:
        """Convolve with the predicted kernels and adapt to the frame's own low features."""
        displacement = None
        if self._flow is not None:
            assert target.grey is not None and source.grey is not None
            displacement = to_device(self._flow.displacement(
                target.grey, source.grey, height=low.shape[2], width=low.shape[3]), low.device)
        return self._network.adapt(low, self._network.propagate(
            source.embedding, target.embedding, high, displacement))


class FlowPropagation:
    """Warp the key frame's features by optical flow alone (Deep Feature Flow, Zhu et al., 2017).

    DIS at its careful preset and the full size of the image takes the place of FlowNet.

    :param network: whose :attr:`warp` moves the features
    """

    def __init__(self, network: SegmentationNetwork) -> None:
        self._network = network
        self._flow = OpticalFlow(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM, shortest_side=1 << 16)

    def describe(self, frame: Frame, low: torch.Tensor) -> np.ndarray:
        """Keep the image, grey."""
        return self._flow.grey(frame)

    def move(self, source: np.ndarray, target: np.ndarray, high: torch.Tensor,
             low: torch.Tensor) -> torch.Tensor:
        """Warp the features."""
        return self._network.warp(high, to_device(self._flow.displacement(
            target, source, height=low.shape[2], width=low.shape[3]), low.device))


class HoldPropagation:
    """The key frame's features as they are (Clockwork Net, Shelhamer et al., 2016)."""

    def describe(self, frame: Frame, low: torch.Tensor) -> None:
        """Nothing needs to be kept."""

    def move(self, source: None, target: None, high: torch.Tensor, low: torch.Tensor
             ) -> torch.Tensor:
        """Return the features unchanged."""
        return high
