# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Masks as PNG files in memory: many of them are kept, and they are small then."""

import cv2
import numpy as np


def pack(mask: np.ndarray) -> bytes:
    """Compress a mask, (H, W) uint8, without loss."""
    return cv2.imencode('.png', mask)[1].tobytes()


def unpack(packed: bytes) -> np.ndarray:
    """Return the mask, (H, W) uint8."""
    mask = cv2.imdecode(np.frombuffer(packed, np.uint8), cv2.IMREAD_UNCHANGED)
    assert mask is not None
    return mask
