# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Labels of given logits, as a prepared network makes them on this processor."""

from typing import Optional

import numpy as np
import torch

from lvs_ros.backends.cpu.label_map import NativeLabelMap
from lvs_ros.backends.cpu.library import kernels
from lvs_ros.ops.label_map import LabelMap


def label_map(logits: torch.Tensor, *, size: tuple[int, int], content: tuple[int, int],
              align_corners: bool, want_confidence: bool
              ) -> tuple[np.ndarray, Optional[np.ndarray]]:
    """Return mask and confidence; see :class:`~lvs_ros.ops.label_map.LabelMap`."""
    kind = LabelMap if kernels() is None else NativeLabelMap
    mask, confidence = kind(align_corners=align_corners)(logits, size, content, want_confidence)
    return mask.numpy(), None if confidence is None else confidence.numpy()
