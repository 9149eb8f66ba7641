# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Frames kept in memory as JPEG, masks as PNG: a long drive takes a tenth of its size."""

import dataclasses

import cv2
import numpy as np

_JPEG_QUALITY = 95


@dataclasses.dataclass(frozen=True)
class CompressedFrame:
    """An image and its mask.

    :param image: a JPEG file; :param mask: a PNG file
    """

    image: np.ndarray
    mask: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray, mask: np.ndarray) -> 'CompressedFrame':
        """Compress an (H, W, 3) uint8 RGB image and an (H, W) uint8 mask."""
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        return cls(data, compress_mask(mask))

    def load(self) -> tuple[np.ndarray, np.ndarray]:
        """Return image and mask."""
        image = cv2.imdecode(self.image, cv2.IMREAD_COLOR)
        assert image is not None
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), expand_mask(self.mask)


def compress_mask(mask: np.ndarray) -> np.ndarray:
    """Return an (H, W) uint8 mask as the bytes of a PNG file, without loss."""
    return cv2.imencode('.png', mask)[1]


def expand_mask(data: np.ndarray) -> np.ndarray:
    """Undo :func:`compress_mask`."""
    mask = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    assert mask is not None
    return mask
