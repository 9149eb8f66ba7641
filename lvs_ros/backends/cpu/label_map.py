# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The label map on a CPU: a few pixels at a time, the upsampled logits never exist."""

from typing import Optional

import torch

from lvs_ros.backends.cpu.library import are_readable, channels_last, native, pointer
from lvs_ros.ops.geometry import pixel_scales
from lvs_ros.ops.label_map import LabelMap


class NativeLabelMap(LabelMap):
    """Stands in for :class:`~lvs_ros.ops.label_map.LabelMap`; torch computes confidences."""

    def forward(self, logits: torch.Tensor, size: tuple[int, int], content: tuple[int, int],
                want_confidence: bool = False) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
        """See :meth:`lvs_ros.ops.label_map.LabelMap.forward`."""
        if want_confidence or not are_readable(logits):
            return super().forward(logits, size, content, want_confidence)
        logits = channels_last(logits)
        shift, scales = pixel_scales(size, content, positions=logits.shape[2:],
                                     align_corners=self.align_corners)
        mask = torch.empty(size, dtype=torch.uint8, device='cpu')
        native().lvs_label_map(
            pointer(logits), pointer(mask), *logits.shape[2:], logits.shape[1], *size, *scales,
            shift, torch.get_num_threads())
        return mask, None
