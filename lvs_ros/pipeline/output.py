# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""From logits at an eighth of the size to class ids at full size, on the CPU."""

from typing import Optional

import numpy as np
import torch

from lvs_ros.backends.cpu.label_map import NativeLabelMap
from lvs_ros.backends.cpu.library import kernels
from lvs_ros.backends.cuda.transfer import all_to_host
from lvs_ros.errors import NotFiniteError
from lvs_ros.model.finite import extremes
from lvs_ros.ops.label_map import LabelMap


def label_map(logits: torch.Tensor, *, size: tuple[int, int], content: tuple[int, int],
              align_corners: bool, want_confidence: bool
              ) -> tuple[np.ndarray, Optional[np.ndarray]]:
    """Upsample bilinearly and take the best class of each pixel.

    :param logits: (1, classes, h, w) float, of a padded image
    :param size: (height, width) of the results
    :param content: (height, width) of the image that the network saw, before it was padded
    :param align_corners: how the network's logits are upsampled
    :return: mask (height, width) uint8; confidence (height, width) uint8, 0..255 = softmax
        maximum, or None
    :raises NotFiniteError: when a logit is NaN or infinite.
    """
    logits = logits.float()
    ends = extremes(logits)
    if logits.device.type == 'cpu':
        _check(ends.numpy())
    kind = LabelMap if kernels() is None else NativeLabelMap
    mask, confidence = kind(align_corners=align_corners)(logits, size, content, want_confidence)
    # On a GPU the check comes with the mask: it would be one more time to wait before that.
    results = all_to_host([ends, mask] if confidence is None else [ends, mask, confidence])
    _check(results[0])
    return results[1], None if confidence is None else results[2]


def _check(ends: np.ndarray) -> None:
    if not np.isfinite(ends).all():
        raise NotFiniteError('logits are not finite')
