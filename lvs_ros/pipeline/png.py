# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""PNG pictures: what is read before a decoder may see them.

A decoder believes what a PNG says of its lengths. libpng finds all other damage by checksums.
"""

from __future__ import annotations

import struct
import zlib
from typing import Iterator, Sequence

import numpy as np

from lvs_ros.errors import ImageError
from lvs_ros.pipeline.pixel_limit import check_pixels

SIGNATURE = b'\x89PNG\r\n\x1a\n'

_CHUNK = struct.Struct('>I4s')
_CHUNK_OVERHEAD = 12    # length, name and checksum
_HEADER = struct.Struct('>IIBBBBB')
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_MOST_OTHERS = 1000
_OPTIONAL = 0x20    # in the first letter of a chunk's name: a small one
# So many bytes of the compressed data are looked at, or as many again.
_SAMPLES = 4096
_FREQUENT = 0.03


def plain_png(data: bytes, *, max_pixels: int) -> bytes:
    """Check a PNG, and return it without what a picture does not need.

    Texts, colour profiles and further images of an animation can be compressed a thousandfold.

    :param max_pixels: the largest width times height.
    :raises ImageError: it is cut short, too large, or its lengths are wrong.
    """
    chunks = list(_chunks(data))
    header = data[16:33 - 4]
    if chunks[0] != (b'IHDR', 8, 8 + _CHUNK_OVERHEAD + _HEADER.size):
        raise _damaged('its header is missing')
    width, height, depth, colour, _, _, _ = _HEADER.unpack(header)
    if colour not in _CHANNELS:
        raise _damaged(f'there is no colour type {colour}')
    check_pixels(width, height, max_pixels)
    row_bytes = (width * _CHANNELS[colour] * depth + 7) // 8
    # One more a row for its filter; interlaced, there are about twice as many rows.
    _check_inflated(data, [(start + 8, end - 4) for name, start, end in chunks
                           if name == b'IDAT'], height * row_bytes + 4 * height + 16)
    if not any(name[0] & _OPTIONAL for name, _, _ in chunks):
        return data
    return SIGNATURE + b''.join(data[start:end] for name, start, end in chunks
                                if not name[0] & _OPTIONAL)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and end of each chunk, to the last one."""
    at, others, name = len(SIGNATURE), 0, b''
    while name != b'IEND':
        if at + _CHUNK_OVERHEAD > len(data):
            raise _damaged('it ends before its last chunk')
        length, name = _CHUNK.unpack_from(data, at)
        end = at + _CHUNK_OVERHEAD + length
        if end > len(data):
            raise _damaged(f'a chunk of {length} bytes, but {len(data) - at} are left')
        others += name != b'IDAT'
        if others > _MOST_OTHERS:
            raise _damaged(f'it has more than {_MOST_OTHERS} chunks besides its pixels')
        yield name, at, end
        at = end


def _check_inflated(data: bytes, parts: Sequence[tuple[int, int]], expected: int) -> None:
    """Refuse compressed pixels that are far more, or fewer, than those of the picture.

    Inflating takes as long as half of the decoding. So it is done only where the compressed data
    is so regular that much could come out of it; that of a photograph is like noise.
    """
    compressed = sum(end - start for start, end in parts)
    if 1040 * compressed < expected // 2:    # zlib's best is 1032
        raise _damaged(f'{compressed} bytes of pixels cannot hold {expected}')
    if 1040 * compressed < 2 * expected or not _is_regular(data):
        return
    try:
        pixels = b''.join(data[start:end] for start, end in parts)
        inflated = zlib.decompressobj().decompress(pixels, expected + 1)
    except zlib.error as error:
        raise _damaged(str(error)) from error
    if len(inflated) > expected:
        raise _damaged(f'its pixels take more than {expected} bytes')


def _is_regular(data: bytes) -> bool:
    """Tell whether some byte is far more frequent than it is in what has been compressed well."""
    sample = np.frombuffer(data, np.uint8)[::len(data) // _SAMPLES | 1]    # odd: meets no words
    return np.bincount(sample).max() > max(16, _FREQUENT * sample.size)


def _damaged(reason: str) -> ImageError:
    return ImageError(f'PNG cannot be decoded, it is truncated or damaged: {reason}; check the '
                      'camera, and the way to here')
