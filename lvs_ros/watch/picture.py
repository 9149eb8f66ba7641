# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The overlay as a picture for a browser, and how much each class takes of a mask."""

from __future__ import annotations

import cv2
import numpy as np

LONGEST_SIDE = 1280
"""Larger pictures are made smaller: no page shows more, and each pixel takes time."""

_QUALITY = 80
_STRIDE = 4    # every 16th pixel tells the shares


def jpeg(overlay: np.ndarray) -> bytes:
    """Return a JPEG file.

    :param overlay: (H, W, 3) uint8 RGB.
    """
    height, width = overlay.shape[:2]
    scale = LONGEST_SIDE / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        overlay = cv2.resize(overlay, size, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode('.jpg', cv2.cvtColor(overlay, cv2.COLOR_RGB2BGR),
                              [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert done
    return data.tobytes()


def shares(mask: np.ndarray) -> list[float]:
    """Return the share of the pixels of each class id, 0..1, up to the highest one there is.

    :param mask: (H, W) uint8 class ids; 255 = unlabelled, which count as pixels of no class.
    """
    seen = mask[::_STRIDE, ::_STRIDE].ravel()
    counts = np.bincount(seen, minlength=256)[:255]
    classes = int(counts.nonzero()[0].max(initial=-1)) + 1
    return [round(float(share), 4) for share in counts[:classes] / max(1, seen.size)]
