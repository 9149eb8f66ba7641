# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Frames kept in memory as JPEG, masks as PNG: a long drive takes a tenth of its size."""

import functools

import cv2
import numpy as np

from lvs_ros.packed_mask import pack, unpack
from lvs_ros.training.frames import Loader

_JPEG_QUALITY = 95


def compressed(image: np.ndarray, mask: np.ndarray) -> Loader:
    """Compress an (H, W, 3) uint8 RGB image and an (H, W) uint8 mask; return what reads them."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return functools.partial(_load, data, pack(mask))


def _load(data: np.ndarray, packed_mask: bytes) -> tuple[np.ndarray, np.ndarray]:
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert image is not None
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), unpack(packed_mask)
