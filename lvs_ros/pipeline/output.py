# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""From logits at an eighth of the size to class ids at full size.

The full-size logits of all classes never exist: the classes are enlarged one by one, and the
best one so far is kept.
"""

from typing import Callable, Optional

import cv2
import numpy as np
import torch

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
    """
    planes = logits.float().contiguous()
    # OpenCV's bilinear enlargement is torch's without aligned corners, and five times as fast
    # on one core; the sums of exponentials are few enough frames' work to stay with torch.
    if planes.device.type == 'cpu' and not align_corners and not want_confidence:
        return _best_class(planes[0].numpy(), height=height, width=width), None
    mask, confidence = _best_class_and_confidence(
        planes, height=height, width=width, enlarge=enlarge, want_confidence=want_confidence)
    return mask.cpu().numpy(), None if confidence is None else confidence.cpu().numpy()


def _best_class(planes: np.ndarray, *, height: int, width: int) -> np.ndarray:
    size = (width, height)
    best = cv2.resize(planes[0], size, interpolation=cv2.INTER_LINEAR)
    plane = np.empty_like(best)
    better = np.empty(best.shape, np.uint8)
    mask = np.zeros(best.shape, np.uint8)
    for class_id in range(1, len(planes)):
        cv2.resize(planes[class_id], size, dst=plane, interpolation=cv2.INTER_LINEAR)
        cv2.compare(plane, best, cv2.CMP_GT, dst=better)    # 255 where true
        cv2.max(plane, best, dst=best)
        # ids grow, so the maximum overwrites
        cv2.max(mask, np.bitwise_and(better, np.uint8(class_id), out=better), dst=mask)
    return mask


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
