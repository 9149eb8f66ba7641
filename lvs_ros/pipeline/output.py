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
from lvs_ros.model.geometry import pixel_scales, upsample
from lvs_ros.native.library import channels_last, operators, pointer, takes
from lvs_ros.pipeline.transfer import all_to_host


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
    if takes(logits) and not want_confidence:
        _check(ends.numpy())
        return _best_class(channels_last(logits), size, content, align_corners), None

    def plane(class_id: int) -> torch.Tensor:
        return upsample(logits[:, class_id:class_id + 1], size, content=content,
                        align_corners=align_corners)

    logits = logits.contiguous()
    mask, confidence = _best_class_and_confidence(
        plane, logits.shape[1], want_confidence=want_confidence)
    # On a GPU the check comes with the mask: it would be one more time to wait before that.
    results = all_to_host([ends, mask] if confidence is None else [ends, mask, confidence])
    _check(results[0])
    return results[1], None if confidence is None else results[2]


def _check(ends: np.ndarray) -> None:
    if not np.isfinite(ends).all():
        raise NotFiniteError('logits are not finite')


def _best_class(logits: torch.Tensor, size: tuple[int, int], content: tuple[int, int],
                align_corners: bool) -> np.ndarray:
    shift, scales = pixel_scales(size, content, align_corners=align_corners)
    mask = torch.empty(size, dtype=torch.uint8)
    operators().lvs_label_map(
        pointer(logits), pointer(mask), *logits.shape[2:], logits.shape[1], *size, *scales, shift,
        torch.get_num_threads())
    return mask.numpy()


def _best_class_and_confidence(
        plane: Callable[[int], torch.Tensor], classes: int, *, want_confidence: bool
        ) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    best = plane(0)
    mask = torch.zeros(best.shape, dtype=torch.uint8, device=best.device)
    for class_id in range(1, classes):
        value = plane(class_id)
        mask.masked_fill_(value > best, class_id)
        torch.maximum(best, value, out=best)
    if not want_confidence:
        return mask[0, 0], None
    total = torch.zeros_like(best)
    for class_id in range(classes):
        total += (plane(class_id) - best).exp_()
    return mask[0, 0], (255 / total).round_().to(torch.uint8)[0, 0]
