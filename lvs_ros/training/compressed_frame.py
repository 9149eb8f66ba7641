# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Frames kept in memory as JPEG, masks as PNG: a long drive takes a tenth of its size."""

import dataclasses

import cv2
import numpy as np

from lvs_ros.packed_mask import pack, unpack

_JPEG_QUALITY = 95


@dataclasses.dataclass(frozen=True)
class CompressedFrame:
    """An image and its mask.

    :param image: a JPEG file
    :param mask: a PNG file
    """

    image: np.ndarray
    mask: bytes

    @classmethod
    def of(cls, image: np.ndarray, mask: np.ndarray) -> 'CompressedFrame':
        """Compress an (H, W, 3) uint8 RGB image and an (H, W) uint8 mask."""
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        return cls(data, pack(mask))

    def load(self) -> tuple[np.ndarray, np.ndarray]:
        """Return image and mask."""
        image = cv2.imdecode(self.image, cv2.IMREAD_COLOR)
        assert image is not None
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), unpack(self.mask)
