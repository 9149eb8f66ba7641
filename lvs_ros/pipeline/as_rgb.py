# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Frames of any channel order as RGB images."""

import cv2
import numpy as np

from lvs_ros.pipeline.frame import Frame

_TO_RGB = {'bgr': cv2.COLOR_BGR2RGB, 'rgba': cv2.COLOR_RGBA2RGB, 'bgra': cv2.COLOR_BGRA2RGB,
           'mono': cv2.COLOR_GRAY2RGB}


def as_rgb(frame: Frame) -> np.ndarray:
    """Return the image of a frame as (H, W, 3) uint8 RGB, as it is where it is that already."""
    if frame.order == 'rgb':
        return frame.image
    return cv2.cvtColor(np.ascontiguousarray(frame.image), _TO_RGB[frame.order])
