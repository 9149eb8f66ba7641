# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What lies between two steps: the state that a key frame leaves."""

import dataclasses
from typing import Optional

import numpy as np
import torch

from lvs_ros.backends.stages import LowFeatures
from lvs_ros.pipeline.execution import JobResult


@dataclasses.dataclass(frozen=True)
class FrameFeatures:
    """What is kept of a frame from which features may be propagated.

    :param number: counts the frames of the stream
    :param grey: the image for optical flow; None where the propagation uses none
    """

    number: int
    stamp_ns: int
    low: LowFeatures
    grey: Optional[np.ndarray]


@dataclasses.dataclass
class KeyFeatures:
    """The key frame, and what is propagated.

    The two are of the same frame, but for one case: when S_h of an older key frame finishes while
    that of the newer one is still to come, the newly computed features replace the provisional
    ones, which had been propagated from still older features. The key frame, and with it the
    deviation, stays as it is.

    :param key: what deviation is measured against
    :param source: the frame whose features are propagated
    :param high: (1, C_h, h, w), its F_h
    :param provisional: F_h was itself propagated
    """

    key: FrameFeatures
    source: FrameFeatures
    high: torch.Tensor
    provisional: bool

    @property
    def awaits_key_frame(self) -> bool:
        """Whether S_h of the key frame has not finished."""
        return self.provisional or self.source.number != self.key.number

    def take(self, result: JobResult) -> None:
        """Take the result of a job whose key is a :class:`FrameFeatures`, where it is better.

        The newest computed features win over older ones and over propagated ones. A late result
        replaces no features of its own or a newer frame that were computed, unless it refines
        them.
        """
        frame, source = result.job.key, self.source
        if result.high is None:
            return
        refines = result.refined and frame.number == source.number
        is_newer = self.provisional or source.number < frame.number
        if refines or is_newer or frame.number == self.key.number:
            self.source, self.high, self.provisional = frame, result.high, False
