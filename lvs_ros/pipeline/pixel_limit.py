# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The largest image that is taken: a few bytes can stand for a picture that fills the memory."""

from __future__ import annotations

from lvs_ros.errors import ImageError

MAX_PIXELS = 4096 * 3072
"""Default of the largest width times height, in pixels: a camera of 12 megapixels."""

FILE_PIXELS = 1 << 30
"""For files that a user has chosen: the limit that OpenCV has itself."""


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Refuse an image that is too large, before anything of its size is allocated.

    :raises ImageError: it has more than ``max_pixels`` pixels.
    """
    if width * height > max_pixels:
        raise ImageError(f'image of {width}x{height} pixels: more than max_pixels, {max_pixels}; '
                         'set max_pixels if your camera is so large')
