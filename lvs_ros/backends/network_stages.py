# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The stages by the network's own methods, one operator after the other.

A backend that replaces modules of the network needs no more than this.
"""

import dataclasses
from typing import Optional

import numpy as np
import torch
from torch import nn

from lvs_ros.backends.cuda.transfer import all_to_host, to_device
from lvs_ros.backends.stages import Labels, Lap, LowFeatures, Output, Propagation, Source
from lvs_ros.errors import NotFiniteError
from lvs_ros.model import SegmentationNetwork
from lvs_ros.model.finite import extremes, first_not_finite


class NetworkStages:
    """See :class:`~lvs_ros.backends.stages.Stages`.

    :param network: in evaluation mode, on its device
    """

    def __init__(self, network: SegmentationNetwork, propagation: Propagation) -> None:
        self._network, self._propagation = network, propagation
        self._device = network.device

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
            mask, confidence = to_labels(self._network.label_map, logits, output)
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


def to_labels(label_map: nn.Module, logits: torch.Tensor, output: Output
              ) -> tuple[np.ndarray, Optional[np.ndarray]]:
    """Bring the labels of logits to the host.

    :param label_map: :class:`~lvs_ros.ops.label_map.LabelMap`, or what stands in for it
    :param logits: (1, classes, h, w) float
    :return: mask and confidence, see :class:`~lvs_ros.backends.stages.Labels`
    :raises NotFiniteError: when a logit is NaN or infinite.
    """
    logits = logits.float()
    ends = extremes(logits)
    if logits.device.type == 'cpu':
        _check(ends.numpy())
    labels = label_map(logits, output.size, output.content, output.want_confidence)
    # On a GPU the check comes with the mask: it would be one more time to wait before that.
    found, *results = all_to_host([ends, *(one for one in labels if one is not None)])
    _check(found)
    return results[0], results[1] if output.want_confidence else None


def _check(ends: np.ndarray) -> None:
    if not np.isfinite(ends).all():
        raise NotFiniteError('logits are not finite')
