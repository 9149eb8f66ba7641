# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Compressed pictures, and the parts of JPEG and PNG that faults are made of."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import struct
import zlib
from collections.abc import Iterable

import cv2
import numpy as np

END_OF_IMAGE = b'\xff\xd9'
_PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
_START_OF_SCAN, _HUFFMAN_TABLES, _START_OF_FRAME = 0xda, 0xc4, (0xc0, 0xc1, 0xc2)
_BOMB_SIDE = 20_000    # of a PNG of 1 bit a pixel: some kilobytes, 400 megapixels
_INFLATED_BYTES = 50_000_000


@dataclasses.dataclass(frozen=True)
class Picture:
    """A compressed picture.

    :param size: (width, height)
    """

    data: bytes
    size: tuple[int, int]


def jpegs(image: np.ndarray) -> list[Picture]:
    """Return JPEGs of the kinds that cameras make.

    :param image: (H, W, 3) uint8 BGR
    """
    parameters = [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 4),
                  (cv2.IMWRITE_JPEG_OPTIMIZE, 1)]
    if hasattr(cv2, 'IMWRITE_JPEG_SAMPLING_FACTOR'):    # not in OpenCV 4.6, Ubuntu 24.04's
        parameters.append((cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
                           cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444))
    return [*(_encoded('.jpg', image, one) for one in parameters),
            _encoded('.jpg', image[..., 0])]


def pngs(image: np.ndarray) -> list[Picture]:
    """Return PNGs in colour, grey, with transparency, and of 16 bits.

    :param image: (H, W, 3) uint8 BGR
    """
    depth = np.multiply(image[..., 0], 20, dtype=np.uint16)
    return [_encoded('.png', one) for one in (
        image, image[..., 0], cv2.cvtColor(image, cv2.COLOR_BGR2BGRA), depth)]


def others(image: np.ndarray) -> list[Picture]:
    """Return pictures in formats that OpenCV may read, too.

    :param image: (H, W, 3) uint8 BGR
    """
    pictures = []
    for suffix in ('.webp', '.bmp', '.tiff', '.jp2', '.ppm'):
        with contextlib.suppress(cv2.error):    # not every build has each of them
            pictures.append(_encoded(suffix, image))
    return pictures


def _encoded(suffix: str, image: np.ndarray, parameters: tuple[int, ...] = ()) -> Picture:
    data = cv2.imencode(suffix, image, parameters)[1].tobytes()
    return Picture(data, (image.shape[1], image.shape[0]))


def jpeg_segments(jpeg: bytes) -> list[tuple[int, int, int]]:
    """Return (marker, where it begins, where it ends) up to the first scan, which has no end."""
    segments, at = [], 2
    while jpeg[at + 1] != _START_OF_SCAN:
        length, = struct.unpack_from('>H', jpeg, at + 2)
        segments.append((jpeg[at + 1], at, at + 2 + length))
        at += 2 + length
    return segments


def scan_start(jpeg: bytes) -> int:
    """Return where the data of the first scan begins."""
    at = jpeg_segments(jpeg)[-1][2]
    return at + 2 + int(struct.unpack_from('>H', jpeg, at + 2)[0])


def without_huffman_tables(jpeg: bytes) -> bytes:
    """Take the tables out, as motion-JPEG cameras do that mean the standard ones."""
    kept = bytearray(jpeg[:2])
    end = 2
    for marker, begin, end in jpeg_segments(jpeg):
        if marker != _HUFFMAN_TABLES:
            kept += jpeg[begin:end]
    return bytes(kept) + jpeg[end:]


def with_jpeg_size(jpeg: bytes, width: int, height: int) -> bytes:
    """Write another size into the header."""
    begin = next(begin for marker, begin, _ in jpeg_segments(jpeg) if marker in _START_OF_FRAME)
    forged = bytearray(jpeg)
    struct.pack_into('>HH', forged, begin + 5, height, width)
    return bytes(forged)


def with_thumbnail(jpeg: bytes, thumbnail: bytes) -> bytes:
    """Put an EXIF segment in front that holds another whole JPEG."""
    entry = struct.Struct('<HHII')
    first_at = 8
    second_at = first_at + 6
    data_at = second_at + 2 + 2 * entry.size + 4
    tiff = struct.pack('<2sHI', b'II', 42, first_at) + struct.pack('<HI', 0, second_at)
    tiff += struct.pack('<H', 2) + entry.pack(0x201, 4, 1, data_at)
    tiff += entry.pack(0x202, 4, 1, len(thumbnail)) + struct.pack('<I', 0) + thumbnail
    exif = b'Exif\0\0' + tiff
    return jpeg[:2] + struct.pack('>BBH', 0xff, 0xe1, 2 + len(exif)) + exif + jpeg[2:]


def with_fill_bytes(jpeg: bytes) -> bytes:
    """Put the fill bytes that the standard allows before each marker up to the scan."""
    filled, end = bytearray(jpeg[:2]), 2
    for _, begin, end in jpeg_segments(jpeg):
        filled += b'\xff\xff' + jpeg[begin:end]
    return bytes(filled) + jpeg[end:]


def png_chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    """Return (type, body) of each chunk."""
    chunks, at = [], len(_PNG_SIGNATURE)
    while at < len(png):
        length, name = struct.unpack_from('>I4s', png, at)
        chunks.append((name, png[at + 8:at + 8 + length]))
        at += 12 + length
    return chunks


def png(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Put a PNG together, with sums that are right."""
    return _PNG_SIGNATURE + b''.join(
        struct.pack('>I', len(body)) + name + body + struct.pack('>I', zlib.crc32(name + body))
        for name, body in chunks)


def with_png_size(data: bytes, width: int, height: int) -> bytes:
    """Write another size into the header."""
    return png((name, struct.pack('>II', width, height) + body[8:] if name == b'IHDR' else body)
               for name, body in png_chunks(data))


@functools.cache
def png_bomb() -> bytes:
    """Return a PNG that is valid, small, and larger than any camera's images."""
    header = struct.pack('>IIBBBBB', _BOMB_SIDE, _BOMB_SIDE, 1, 0, 0, 0, 0)
    rows = bytes((1 + _BOMB_SIDE // 8) * _BOMB_SIDE)
    return png(((b'IHDR', header), (b'IDAT', zlib.compress(rows, 1)), (b'IEND', b'')))


@functools.cache
def text_bombs(data: bytes) -> list[bytes]:
    """Return a PNG with chunks beside the picture that are small until they are unpacked."""
    packed = zlib.compress(bytes(_INFLATED_BYTES), 1)
    header, *rest = png_chunks(data)
    return [png((header, chunk, *rest)) for chunk in (
        (b'zTXt', b'Comment\0\0' + packed), (b'iCCP', b'profile\0\0' + packed),
        (b'iTXt', b'Comment\0\1\0\0\0' + packed))]
