# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a label file holds, before anything is made of it: indices, grey values or colours."""

import pathlib
import struct
from typing import NamedTuple, Optional

import cv2
import numpy as np
from PIL import Image

from lvs_ros.errors import DatasetError
from lvs_ros.pipeline.pixel_limit import FILE_PIXELS

ENDINGS = ('.png', '.bmp', '.tif', '.tiff', '.webp')
"""Of label files, in any case; a JPEG does not keep ids."""

_KINDS = {'1': 'grey', 'L': 'grey', 'LA': 'grey', 'P': 'palette', 'PA': 'palette',
          'I;16': 'grey of 16 bits', 'I;16B': 'grey of 16 bits', 'I': 'grey of 16 bits',
          'RGB': 'three channels', 'RGBA': 'three channels'}
_GREY = 0    # PNG's colour type


class StoredLabels(NamedTuple):
    """The pixels of a label file.

    :param values: (H, W) ids, or (H, W, 3) colours, RGB; uint8, uint16 or int32
    :param kind: of file, in words
    :param transparent: (H, W) bool, pixels without a label; None = none
    """

    values: np.ndarray
    kind: str
    transparent: Optional[np.ndarray] = None

    @property
    def grey(self) -> Optional[np.ndarray]:
        """(H, W): the ids, also where they stand in three equal channels; None = colours."""
        if self.values.ndim == 2:
            return self.values
        red, green, blue = np.moveaxis(self.values, 2, 0)
        return red if np.array_equal(red, green) and np.array_equal(red, blue) else None


def read_stored_labels(path: pathlib.Path) -> StoredLabels:
    """Read a label file: palette indices as they are, never as colours.

    :raises DatasetError: naming the file that is broken, or of a kind that holds no ids.
    """
    try:
        with Image.open(path) as image:
            _check(image, path)
            if image.format == 'PNG' and image.mode != 'P':
                bits, colour_type = _png_header(path)
                if colour_type != _GREY and bits == 16:
                    return _sixteen_bits(path)    # Pillow would halve them without a word
                scale = 255 // (2 ** bits - 1) if bits < 8 else 1    # it spreads 2 and 4 bits
            else:
                scale = 1
            kind, values = _KINDS[image.mode], np.asarray(image)
    except (OSError, SyntaxError, ValueError, struct.error,
            Image.DecompressionBombError) as error:
        raise _broken(path, error) from error
    if values.dtype == bool:
        values, scale = values.astype(np.uint8), 1
    if values.ndim == 2:
        return StoredLabels(values // scale if scale > 1 else values, kind)
    if values.shape[2] == 3:
        return StoredLabels(values, kind)
    colours, alpha = values[..., :-1], values[..., -1]
    return StoredLabels(colours[..., 0] if values.shape[2] == 2 else colours, kind,
                        _transparent(alpha, path))


def _check(image: Image.Image, path: pathlib.Path) -> None:
    if image.width * image.height > FILE_PIXELS:
        raise DatasetError(f'{path}: {image.width}x{image.height} pixels; expected at most '
                           f'{FILE_PIXELS} pixels')
    if image.format == 'JPEG':
        raise DatasetError(f'{path}: a JPEG, which changes the ids at every edge; expected a '
                           'file that keeps them, such as PNG: export the labels again')
    if image.mode not in _KINDS:
        raise DatasetError(f'{path}: pixels of the kind {image.mode}; expected a palette, grey of '
                           '8 or 16 bits, or RGB: export the labels again')


def _png_header(path: pathlib.Path) -> tuple[int, int]:
    with open(path, 'rb') as file:
        bits, colour_type = struct.unpack('BB', file.read(26)[24:])
    return bits, colour_type


def _sixteen_bits(path: pathlib.Path) -> StoredLabels:
    """Read a PNG of three or four channels, or grey and alpha, of 16 bits each."""
    values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if values is None or values.ndim != 3:
        raise _broken(path, 'damaged, or grey with transparency of 16 bits')
    alpha = values[..., 3] // 257 if values.shape[2] == 4 else None
    return StoredLabels(values[..., 2::-1], 'three channels of 16 bits',
                        None if alpha is None else _transparent(alpha, path))


def _transparent(alpha: np.ndarray, path: pathlib.Path) -> Optional[np.ndarray]:
    partly = (alpha != 0) & (alpha != 255)
    if partly.any():
        raise DatasetError(f'{path}: {int(partly.sum())} pixels are partly transparent, so that '
                           'their label is not known; expected none, or fully transparent ones, '
                           'which are unlabelled')
    return alpha == 0 if (alpha == 0).any() else None


def _broken(path: pathlib.Path, reason: object) -> DatasetError:
    return DatasetError(f'{path}: cannot be read as an image ({reason}); copy it again, or remove '
                        'it together with its image')


def palette_of(path: pathlib.Path) -> Optional[np.ndarray]:
    """Return the palette of a label file, (N, 3) uint8 RGB; None where it has none."""
    with Image.open(path) as image:
        if image.mode != 'P':
            return None
        return np.array(image.getpalette('RGB'), np.uint8).reshape(-1, 3)
