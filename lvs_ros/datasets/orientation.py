# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Pictures and videos in files, turned as their files say they are to be shown.

A phone or a dashboard camera stores what its sensor sees and writes beside it how it was held:
EXIF's orientation in a picture, the display matrix in a video. ROS messages are never turned:
their geometry is that of the camera's calibration.
"""

import pathlib

import numpy as np
from PIL import Image

from lvs_ros.errors import DatasetError

UPRIGHT = 1
"""Orientations are numbered as in EXIF, 1 to 8."""

_EXIF_ORIENTATION = 0x0112
_FIRST_SIDEWAYS = 5    # from here on width and height change places

# What the matrix makes of right and of down, x before y (ISO/IEC 14496-12, 6.2.2), by orientation.
_MATRICES = {(1, 0, 0, 1): 1, (-1, 0, 0, 1): 2, (-1, 0, 0, -1): 3, (1, 0, 0, -1): 4,
             (0, 1, 1, 0): 5, (0, 1, -1, 0): 6, (0, -1, -1, 0): 7, (0, -1, 1, 0): 8}


def exif_orientation(path: pathlib.Path) -> int:
    """Read the orientation of a picture file; :data:`UPRIGHT` where it has none that is valid."""
    try:
        with Image.open(path) as image:
            if image.format == 'PNG' and 'exif' not in image.info:
                return UPRIGHT    # else all of it would be decoded in search for one
            found = image.getexif().get(_EXIF_ORIENTATION, UPRIGHT)
    except Exception:    # of many types; who decodes the picture says what is wrong with it
        return UPRIGHT
    return found if found in _MATRICES.values() else UPRIGHT


def matrix_orientation(matrix: bytes, path: pathlib.Path) -> int:
    """Return the orientation that a display matrix asks for.

    :param matrix: nine numbers of 32 bits, by rows, as FFmpeg has them
    :param path: of the video, for the error
    :raises DatasetError: when it turns by other than quarters.
    """
    numbers = np.frombuffer(matrix, np.int32).reshape(3, 3)[:2, :2] / 65536
    key = tuple(int(number) for number in np.rint(numbers).reshape(-1))
    if key not in _MATRICES or not np.allclose(numbers.reshape(-1), key, atol=1e-3):
        raise DatasetError(
            f'{path}: is to be shown turned by other than quarters, or scaled (its display matrix '
            f'begins with {numbers.tolist()}); write it anew as it is to be seen: '
            'ffmpeg -i FILE -c:v libx264 NEW.mp4')
    return _MATRICES[key]


def upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Turn an image, or its labels.

    :param image: (H, W) or (H, W, C), as stored
    :param orientation: 1 to 8
    :return: as it is to be shown; contiguous
    """
    if orientation == UPRIGHT:
        return image
    if orientation >= _FIRST_SIDEWAYS:
        image = image.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)


def upright_labels(labels: np.ndarray, label_path: pathlib.Path, *, stored: tuple[int, int],
                   orientation: int, image_path: pathlib.Path) -> np.ndarray:
    """Turn labels like their image, unless they have been drawn on the turned one.

    :param labels: (H, W), as stored; an orientation in its own file goes before all
    :param stored: height and width of the image as stored
    :param orientation: of the image
    :return: (H, W), to be compared with the size of the turned image
    :raises DatasetError: when the sizes do not tell which it is.
    """
    own = exif_orientation(label_path)
    if own != UPRIGHT or orientation == UPRIGHT:
        return upright(labels, own)
    shown = stored[::-1] if orientation >= _FIRST_SIDEWAYS else stored
    if labels.shape == stored == shown:
        raise DatasetError(
            f'{label_path}: nothing tells whether these labels were drawn on the image as stored '
            f'or as shown: {image_path} is to be turned (EXIF orientation {orientation}), and is '
            'of the same size then. Write the image anew as the labels fit it, without an '
            'orientation: "exiftool -Orientation= IMAGE" for as stored, "magick mogrify '
            '-auto-orient IMAGE" for as shown')
    return upright(labels, orientation) if labels.shape == stored else labels
