# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Stamps, image messages of arrays, and the encodings that only cv_bridge knows."""

from __future__ import annotations

import array
import functools
from typing import Any

from builtin_interfaces.msg import Time
import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from lvs_ros.errors import ImageError, shown
from lvs_ros.pipeline.encodings import refuse_depth
from lvs_ros.pipeline.pixel_limit import check_pixels

_NANOSECONDS = 1_000_000_000


def stamp_to_ns(stamp: Time) -> int:
    """Return a stamp as nanoseconds."""
    return stamp.sec * _NANOSECONDS + stamp.nanosec


def ns_to_stamp(stamp_ns: int) -> Time:
    """Return nanoseconds as a stamp."""
    sec, nanosec = divmod(stamp_ns, _NANOSECONDS)
    return Time(sec=sec, nanosec=nanosec)


def decode_with_cv_bridge(message: Image, max_pixels: int) -> np.ndarray:
    """Return the image, (H, W, 3) uint8 BGR, of a message whose encoding is none of ours.

    :param max_pixels: the largest width times height that is taken.
    :raises ImageError: the message is malformed, the image too large, or cv_bridge does not know
        its encoding.
    """
    refuse_depth(message.encoding)
    check_pixels(message.width, message.height, max_pixels)
    what = f'{message.width}x{message.height} image of encoding {shown(message.encoding)}'
    try:
        image = cv_bridge().imgmsg_to_cv2(message, 'bgr8')
    except Exception as error:  # it raises CvBridgeError, RuntimeError, TypeError and KeyError
        raise ImageError(f'{what}: cv_bridge cannot convert it: {shown(str(error))}') from error
    if image.shape != (message.height, message.width, 3) or image.dtype != np.uint8:
        raise ImageError(f'{what}: cv_bridge made it {image.shape} {image.dtype}')
    return image


def encode_image(image: np.ndarray, header: Header) -> Image:
    """Make an image message of an array.

    :param image: (H, W) uint8 for mono8, or (H, W, 3) uint8 for rgb8.
    :param header: becomes the message's header, unchanged.
    """
    height, width, *channels = image.shape
    message = Image(header=header, height=height, width=width)
    message.encoding = 'rgb8' if channels else 'mono8'
    message.step = width * (channels[0] if channels else 1)
    # The one type that the message takes without checking or converting every element.
    data = array.array('B')
    data.frombytes(np.ascontiguousarray(image).data.cast('B'))
    message.data = data
    return message


@functools.cache
def cv_bridge() -> Any:
    """Return a cv_bridge that works, or None.

    It is built against one version of NumPy and fails to load with another; and a port of the
    ROS 1 package of the same name reads the padding of rows as pixels. So it is tried on an image
    whose rows are padded.
    """
    try:
        from cv_bridge import CvBridge
        bridge = CvBridge()
        probe = Image(height=2, width=1, encoding='mono8', step=2)
        probe.data = array.array('B', [10, 0, 20, 0])
        grey = bridge.imgmsg_to_cv2(probe, 'bgr8')
        works = grey.shape == (2, 1, 3) and grey[..., 0].tolist() == [[10], [20]]
        return bridge if works else None
    except Exception:  # whatever a foreign binary raises on loading
        return None
