# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is done to the logits of consecutive frames before they become labels."""

import collections
import dataclasses
from typing import Optional, Protocol

import numpy as np
import torch

from lvs_ros.model.rivals import GatedRecurrentUnit, run_recurrent, shrink
from lvs_ros.pipeline.frame import Frame
from lvs_ros.pipeline.optical_flow import OpticalFlow


class Smoothing(Protocol):
    """Improves the logits of a frame by those of the frames before it."""

    def smooth(self, frame: Frame, image: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Return the logits to use, (1, classes, h, w).

        :param frame: the frame
        :param image: (1, 3, H, W) float, RGB 0..255
        :param logits: (1, classes, h, w), of the frame alone
        """

    def reset(self) -> None:
        """Forget the earlier frames."""


@dataclasses.dataclass(frozen=True)
class _Past:
    chances: torch.Tensor
    image: torch.Tensor


class GatedRecurrentSmoothing:
    """GRFP(n) (Nilsson and Sminchisescu, CVPR 2018): the last n frames, each computed in full.

    :param frames: n; 5 in the comparison of Li et al.
    """

    def __init__(self, unit: GatedRecurrentUnit, *, frames: int = 5) -> None:
        self._unit = unit
        self._flow = OpticalFlow()
        self._past: collections.deque[_Past] = collections.deque(maxlen=frames)
        # Back from each frame of the past but the first; one less than frames.
        self._displacements: collections.deque[torch.Tensor] = collections.deque(
            maxlen=frames - 1)
        self._grey: Optional[np.ndarray] = None    # of the newest frame

    def smooth(self, frame: Frame, image: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Run the unit over the last frames; the logarithm of its probabilities."""
        height, width = logits.shape[2:]
        grey = self._flow.grey(frame)
        if self._grey is not None:
            self._displacements.append(self._flow.displacement(
                grey, self._grey, height=height, width=width).to(logits.device))
        self._grey = grey
        logits = logits.float()
        # Infinity times zero is NaN, which no result of the unit hides; softmax alone would.
        self._past.append(_Past(logits.softmax(1) + 0 * logits,
                                shrink(image.float(), height, width)))
        mixed = run_recurrent(self._unit, [past.chances for past in self._past],
                              [past.image for past in self._past], list(self._displacements))
        return mixed.clamp(min=1e-6).log()

    def reset(self) -> None:
        """Forget the earlier frames."""
        self._past.clear()
        self._displacements.clear()
        self._grey = None
