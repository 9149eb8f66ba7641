# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Pictures as files hold them: told apart by their first bytes, looked at, and then decoded.

Only formats whose size can be read before they are decoded are taken, whatever OpenCV can do.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import cv2
import numpy as np

from lvs_ros.errors import ImageError, shown
from lvs_ros.pipeline.jpeg import decode_jpeg
from lvs_ros.pipeline.pixel_limit import check_pixels
from lvs_ros.pipeline.png import SIGNATURE, plain_png

_OTHERS = {b'GIF8': 'a GIF', b'\0\0\0\x0cjP  ': 'a JPEG 2000', b'\xff\x4f\xff\x51': 'a JPEG 2000',
           b'\0\0\0\x01': 'a video stream', b'\0\0\x01': 'a video stream', b'#?': 'a Radiance HDR',
           b'v/1\x01': 'an OpenEXR', b'\x59\xa6\x6a\x95': 'a Sun raster', b'P': 'a netpbm'}


def decode_picture(data: bytes, *, grey: bool, max_pixels: int) -> np.ndarray:
    """Decode a JPEG, PNG, WebP, BMP or TIFF.

    The camera's own orientation is kept: an EXIF rotation is ignored.

    :param grey: return its luminance alone.
    :param max_pixels: the largest width times height.
    :returns: (H, W, 3) uint8 blue-green-red, or (H, W) uint8.
    :raises ImageError: it is truncated, damaged, too large, or no picture of these kinds.
    """
    if data.startswith(b'\xff\xd8\xff'):
        return decode_jpeg(data, grey=grey, max_pixels=max_pixels)
    if data.startswith(SIGNATURE):
        return _by_opencv(plain_png(data, max_pixels=max_pixels), grey)
    size = _size(data)
    check_pixels(size.width, size.height, max_pixels)
    image = _by_opencv(data, grey)
    if image.shape[0] * image.shape[1] != size.width * size.height:
        raise _undecodable(f'it says {size.width}x{size.height} pixels, but has '
                           f'{image.shape[1]}x{image.shape[0]}')
    return image


class _Size(NamedTuple):
    width: int
    height: int


def _size(data: bytes) -> _Size:
    """Read the size of a picture that is neither JPEG nor PNG."""
    try:
        if data.startswith(b'RIFF') and data[8:12] == b'WEBP':
            return _webp_size(data)
        if data.startswith(b'BM'):
            return _bmp_size(data)
        if data.startswith((b'II*\0', b'MM\0*')):
            return _tiff_size(data)
    except struct.error:
        raise _undecodable('it ends within its header') from None
    kind = next((name for first, name in _OTHERS.items() if data.startswith(first)),
                f'something that begins with {data[:4].hex(" ")}')
    raise ImageError(f'compressed image cannot be decoded, it is {kind}: expected a JPEG or PNG, '
                     'or a WebP, BMP or TIFF')


def _webp_size(data: bytes) -> _Size:
    length, = struct.unpack_from('<I', data, 4)
    if length + 8 > len(data):
        raise _undecodable(f'a WebP of {length + 8} bytes, of which {len(data)} are there')
    kind = data[12:16]
    if kind == b'VP8 ':
        width, height = struct.unpack_from('<HH', data, 26)
        return _Size(width & 0x3FFF, height & 0x3FFF)
    if kind == b'VP8L':
        bits, = struct.unpack_from('<I', data, 21)
        return _Size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind != b'VP8X' or data[20] & 2:
        raise _undecodable('a WebP that is no single picture')
    low_width, high_width, low_height, high_height = struct.unpack_from('<HBHB', data, 24)
    return _Size((high_width << 16) + low_width + 1, (high_height << 16) + low_height + 1)


def _bmp_size(data: bytes) -> _Size:
    header_bytes, = struct.unpack_from('<I', data, 14)
    if header_bytes == 12:
        return _Size(*struct.unpack_from('<HH', data, 18))
    width, height = struct.unpack_from('<ii', data, 18)
    return _Size(width, abs(height))    # negative: the rows begin at the top


_WIDTH, _HEIGHT, _STRIPS, _STRIP_BYTES, _STRIP_ROWS, _TILE_WIDTH = 256, 257, 273, 279, 278, 322
_TIFF_TYPES = {3: 'H', 4: 'I'}


def _tiff_size(data: bytes) -> _Size:
    """Read the size of a TIFF's first page, and see that its pixels are there."""
    order = '<' if data.startswith(b'II') else '>'
    directory, = struct.unpack_from(order + 'I', data, 4)
    count, = struct.unpack_from(order + 'H', data, directory)
    tags: dict[int, tuple[int, ...]] = {}
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, type_, length = struct.unpack_from(order + 'HHI', data, entry)
        if tag in (_WIDTH, _HEIGHT, _STRIPS, _STRIP_BYTES, _STRIP_ROWS, _TILE_WIDTH):
            if type_ not in _TIFF_TYPES or length > len(data):
                raise _undecodable(f'tag {tag} of a TIFF has {length} values of type {type_}')
            numbers = f'{order}{length}{_TIFF_TYPES[type_]}'
            inside = struct.calcsize(numbers) <= 4
            at = entry + 8 if inside else struct.unpack_from(order + 'I', data, entry + 8)[0]
            tags[tag] = struct.unpack_from(numbers, data, at)
    (width, *_), (height, *_) = tags.get(_WIDTH, (0,)), tags.get(_HEIGHT, (0,))
    if _TILE_WIDTH in tags or not tags.get(_STRIPS):
        raise _undecodable('a TIFF without strips; tiles are not taken')
    if any(start + length > len(data)
           for start, length in zip(tags[_STRIPS], tags.get(_STRIP_BYTES, ()))):
        raise _undecodable('a strip of a TIFF reaches beyond it')
    # OpenCV allocates a strip of as many rows as this says, unless it is the largest number.
    rows, = tags.get(_STRIP_ROWS, (height,))[:1] or (height,)
    if rows != 0xFFFFFFFF and rows > max(height, 0xFFFF):
        raise _undecodable(f'strips of {rows} rows in a TIFF of {height}')
    return _Size(width, height)


def _by_opencv(data: bytes, grey: bool) -> np.ndarray:
    flags = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError(str(error)) from error
        raise _undecodable(shown(str(error))) from error
    if image is None:
        raise _undecodable('OpenCV gives no reason')
    return image


def _undecodable(reason: str) -> ImageError:
    return ImageError(f'compressed image cannot be decoded, it is truncated or damaged: {reason}; '
                      'check the camera, and the way to here')
