# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``~/mask/compressed``: the mask as a PNG, which keeps every class id."""

import cv2
import numpy as np

from lvs_ros.node.serialized_images import SerializedHeader, write_compressed_image

FORMAT = 'mono8; png compressed '
"""As compressed_image_transport writes it: behind the space, only colour has an encoding."""


def write_compressed_mask(mask: np.ndarray, header: SerializedHeader) -> bytes:
    """Serialise the sensor_msgs/CompressedImage of a mask.

    :param mask: (H, W) uint8 class ids.
    :param header: of the image.
    """
    _, png = cv2.imencode('.png', mask)    # OpenCV's own settings are its quickest
    return write_compressed_image(png.tobytes(), FORMAT, header)
