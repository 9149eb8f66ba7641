# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""From logits at an eighth of the size to class ids at full size.

The full-size logits of all classes never exist: the classes are enlarged one by one, and the
best one so far is kept.
"""

from typing import Callable, Optional

import torch

Enlarge = Callable[[torch.Tensor, int, int], torch.Tensor]


def label_map(logits: torch.Tensor, *, height: int, width: int, enlarge: Enlarge,
              want_confidence: bool) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
    """Enlarge and take the best class of each pixel.

    :param logits: (1, classes, h, w) float
    :param enlarge: the network's upsampling
    :return: mask (height, width) uint8; confidence (height, width) uint8, 0..255 = softmax
        maximum, or None; both on the device of the logits
    """
    planes = logits.float().contiguous()
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
