# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""From logits at an eighth of the size to class ids at full size.

The full-size logits of all classes never exist: the classes are enlarged one by one, and the
best one so far is kept; a compiled operator does that for a few pixels at a time.
"""

from typing import Callable, Optional

import numpy as np
import torch

from lvs_ros.errors import NotFiniteError
from lvs_ros.model.finite import extremes
from lvs_ros.native.library import channels_last, operators, pointer, takes
from lvs_ros.pipeline.transfer import all_to_host

Enlarge = Callable[[torch.Tensor, int, int], torch.Tensor]


def label_map(logits: torch.Tensor, *, height: int, width: int, enlarge: Enlarge,
              align_corners: bool, want_confidence: bool
              ) -> tuple[np.ndarray, Optional[np.ndarray]]:
    """Enlarge bilinearly and take the best class of each pixel.

    :param logits: (1, classes, h, w) float
    :param enlarge: the network's upsampling
    :param align_corners: how that treats the corners
    :return: mask (height, width) uint8; confidence (height, width) uint8, 0..255 = softmax
        maximum, or None
    :raises NotFiniteError: when a logit is NaN or infinite.
    """
    logits = logits.float()
    ends = extremes(logits)
    if takes(logits) and not align_corners and not want_confidence:
        _check(ends.numpy())
        return _best_class(channels_last(logits), height=height, width=width), None
    mask, confidence = _best_class_and_confidence(
        logits.contiguous(), height=height, width=width, enlarge=enlarge,
        want_confidence=want_confidence)
    # On a GPU the check comes with the mask: it would be one more time to wait before that.
    results = all_to_host([ends, mask] if confidence is None else [ends, mask, confidence])
    _check(results[0])
    return results[1], None if confidence is None else results[2]


def _check(ends: np.ndarray) -> None:
    if not np.isfinite(ends).all():
        raise NotFiniteError('logits are not finite')


def _best_class(logits: torch.Tensor, *, height: int, width: int) -> np.ndarray:
    native = operators()
    mask = torch.empty(height, width, dtype=torch.uint8)
    native.lvs_label_map(pointer(logits), pointer(mask), *logits.shape[2:], logits.shape[1],
                         height, width, torch.get_num_threads())
    return mask.numpy()


def _best_class_and_confidence(
        planes: torch.Tensor, *, height: int, width: int, enlarge: Enlarge, want_confidence: bool
        ) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    best = enlarge(planes[:, :1], height, width)
    mask = torch.zeros(best.shape, dtype=torch.uint8, device=best.device)
    for class_id in range(1, planes.shape[1]):
        plane = enlarge(planes[:, class_id:class_id + 1], height, width)
        mask.masked_fill_(plane > best, class_id)
        torch.maximum(best, plane, out=best)
    if not want_confidence:
        return mask[0, 0], None
    total = torch.zeros_like(best)
    for class_id in range(planes.shape[1]):
        total += (enlarge(planes[:, class_id:class_id + 1], height, width) - best).exp_()
    return mask[0, 0], (255 / total).round_().to(torch.uint8)[0, 0]
