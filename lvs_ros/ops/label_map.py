# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""From logits at an eighth of the size to class ids at full size.

The full-size logits of all classes never exist: the classes are upsampled one by one, and the
best one so far is kept.
"""

from typing import Optional

import torch
from torch import nn

from lvs_ros.ops.geometry import upsample


class LabelMap(nn.Module):
    """Upsamples bilinearly and takes the best class of each pixel.

    :param align_corners: how the network's logits are upsampled
    """

    def __init__(self, *, align_corners: bool) -> None:
        super().__init__()
        self.align_corners = align_corners

    def forward(self, logits: torch.Tensor, size: tuple[int, int], content: tuple[int, int],
                want_confidence: bool = False) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
        """Label every pixel.

        :param logits: (1, classes, h, w) float, of a padded image
        :param size: (height, width) of the results
        :param content: (height, width) of the image that the network saw, before it was padded
        :return: mask (height, width) uint8, of equal classes the first; confidence (height,
            width) uint8, 0..255 = softmax maximum, or None
        """
        logits = logits.float().contiguous()

        def plane(class_id: int) -> torch.Tensor:
            return upsample(logits[:, class_id:class_id + 1], size, content=content,
                            align_corners=self.align_corners)

        best = plane(0)
        mask = torch.zeros(best.shape, dtype=torch.uint8, device=best.device)
        for class_id in range(1, logits.shape[1]):
            value = plane(class_id)
            mask.masked_fill_(value > best, class_id)
            torch.maximum(best, value, out=best)
        if not want_confidence:
            return mask[0, 0], None
        total = torch.zeros_like(best)
        for class_id in range(logits.shape[1]):
            total += (plane(class_id) - best).exp_()
        return mask[0, 0], (255 / total).round_().to(torch.uint8)[0, 0]
