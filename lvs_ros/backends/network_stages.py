# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The stages by the network's own methods, one operator after the other.

A backend that replaces modules of the network needs no more than this.
"""

import dataclasses

import torch

from lvs_ros.backends.stages import Labels, Lap, LowFeatures, Output, Propagation, Source
from lvs_ros.errors import NotFiniteError
from lvs_ros.model import SegmentationNetwork
from lvs_ros.model.finite import first_not_finite
from lvs_ros.pipeline.output import label_map
from lvs_ros.pipeline.transfer import to_device


class NetworkStages:
    """See :class:`~lvs_ros.backends.stages.Stages`.

    :param network: in evaluation mode, on its device
    """

    def __init__(self, network: SegmentationNetwork, propagation: Propagation) -> None:
        self._network, self._propagation = network, propagation
        self._device = network.mean.device

    def low(self, image: torch.Tensor) -> LowFeatures:
        """S_l."""
        low = self._network.low(image)
        return LowFeatures(low, self._propagation.embed(low))

    def deviation(self, key: LowFeatures, now: LowFeatures) -> torch.Tensor:
        """Predicted fraction of changed labels."""
        return self._network.deviation(key.low, now.low)

    def label(self, source: Source, now: LowFeatures, output: Output, lap: Lap) -> Labels:
        """Propagate, and label by what that comes to."""
        if source.displacement is not None:
            source = dataclasses.replace(
                source, displacement=to_device(source.displacement, self._device))
        return self.label_in_full(self._propagation.move(source, now), now, output, lap)

    def label_in_full(self, high: torch.Tensor, now: LowFeatures, output: Output, lap: Lap
                      ) -> Labels:
        """Classify, upsample and take the best class.

        The check of the logits is one of F_h, too: the classifier reads every channel at every
        position.
        """
        lap('propagation')
        logits = output.smooth(self._network.classify(high))
        lap('classify')
        try:
            mask, confidence = label_map(
                logits, size=output.size, content=output.content,
                align_corners=self._network.config.align_corners,
                want_confidence=output.want_confidence)
        except NotFiniteError:
            name = first_not_finite({'F_l': now.low, 'F_h': high})
            raise NotFiniteError(f'{name or "a logit"} is not finite') from None
        lap('output')
        return Labels(mask, confidence, high)

    def high(self, low: torch.Tensor) -> torch.Tensor:
        """S_h."""
        return self._network.high(low)

    def refine(self, high: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Flip averaging."""
        return self._network.refine(high, image)
