# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The stages by the network's own methods, one operator after the other.

A backend that replaces modules of the network needs no more than this.
"""

import dataclasses
from typing import NamedTuple, Optional, Sequence

import numpy as np
import torch

from lvs_ros.backends.cuda.transfer import all_to_host, to_device
from lvs_ros.backends.stages import Labels, Lap, LowFeatures, Output, Propagation, Source
from lvs_ros.errors import NotFiniteError
from lvs_ros.model import SegmentationNetwork
from lvs_ros.model.finite import extremes, first_not_finite


class LabelsOnDevice(NamedTuple):
    """Labels that have not been brought to the host.

    :param high: (1, C_h, h, w), the F_h that they were made of
    :param extremes: (2,) float32, of the logits
    :param mask: (H, W) uint8
    :param confidence: the same, or None
    """

    high: torch.Tensor
    extremes: torch.Tensor
    mask: torch.Tensor
    confidence: Optional[torch.Tensor]


class NetworkStages:
    """See :class:`~lvs_ros.backends.stages.Stages`.

    :param network: in evaluation mode, on its device
    """

    untold: Sequence[str] = ()

    def __init__(self, network: SegmentationNetwork, propagation: Propagation) -> None:
        self.fallbacks = list(network.fallbacks)
        self._network, self._propagation = network, propagation
        self._device = network.device

    def low(self, image: torch.Tensor) -> LowFeatures:
        """S_l."""
        low, detail = self._network.low_and_detail(image)
        return LowFeatures(low, self._propagation.embed(low), detail)

    def deviation(self, key: LowFeatures, now: LowFeatures) -> torch.Tensor:
        """Predicted fraction of changed labels."""
        return self._network.deviation(key.low, now.low)

    def label(self, source: Source, now: LowFeatures, output: Output, lap: Lap) -> Labels:
        """Propagate, and label by what that comes to."""
        if source.displacement is not None:
            source = dataclasses.replace(
                source, displacement=to_device(source.displacement, self._device))
        return _to_host(self._propagate(source, now, output, lap), now, lap)

    def label_in_full(self, high: torch.Tensor, now: LowFeatures, output: Output, lap: Lap
                      ) -> Labels:
        """Classify, upsample and take the best class."""
        return _to_host(self._classify(high, now.detail, output, lap), now, lap)

    def _propagate(self, source: Source, now: LowFeatures, output: Output, lap: Lap
                   ) -> LabelsOnDevice:
        return self._classify(self._propagation.move(source, now), now.detail, output, lap)

    def _classify(self, high: torch.Tensor, detail: Optional[torch.Tensor], output: Output,
                  lap: Lap) -> LabelsOnDevice:
        lap('propagation')
        logits = self._network.classify(high)
        if output.smooth is not None:
            logits = output.smooth(logits)
        logits = self._network.add_detail(logits, high, detail).float()
        lap('classify')
        mask, confidence = self._network.label_map(logits, output.size, output.content,
                                                   output.want_confidence)
        return LabelsOnDevice(high, extremes(logits), mask, confidence)

    def high(self, low: torch.Tensor) -> torch.Tensor:
        """S_h."""
        return self._network.high(low)

    def refine(self, high: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Flip averaging."""
        return self._network.refine(high, image)

    def keep(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the same one: nothing overwrites it."""
        return tensor

    @property
    def can_capture(self) -> bool:
        """False: each call launches its kernels."""
        return False

    @property
    def needs_capture(self) -> bool:
        """False, as well."""
        return False

    def capture(self) -> None:
        """Do nothing: each call launches its kernels."""


def _to_host(labels: LabelsOnDevice, now: LowFeatures, lap: Lap) -> Labels:
    """Bring labels to the host, and wait for them.

    The check of the logits is one of F_h, too: the classifier reads every channel at every
    position. It comes with the mask, as on a GPU it would be one more time to wait before that.

    :raises NotFiniteError: naming what is not finite.
    """
    confidence = [] if labels.confidence is None else [labels.confidence]
    ends, mask, *others = all_to_host([labels.extremes, labels.mask, *confidence])
    if not np.isfinite(ends).all():
        name = first_not_finite({'F_l': now.low, 'F_h': labels.high})
        raise NotFiniteError(f'{name or "a logit"} is not finite')
    lap('output')
    return Labels(mask, others[0] if others else None, labels.high)
