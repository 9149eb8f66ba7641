# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""JPEG pictures, all of them or none: where libjpeg had to guess, the picture is refused.

OpenCV paints what is missing grey or smeared, and says so on the process's error output at most.
simplejpeg hands on libjpeg's first warning, and is as quick. Pixels are the same with both.
"""

from __future__ import annotations

import re
from typing import Iterator, NamedTuple

import numpy as np

from lvs_ros.dependencies import advice
from lvs_ros.errors import ConfigurationError, ImageError
from lvs_ros.pipeline.pixel_limit import check_pixels

# A marker that begins a segment: no byte of the coded pixels (ff 00), no restart, no fill byte.
_MARKER = re.compile(rb'\xff([\x02-\xcf\xd8-\xfe])')
_END, _SCAN = 0xD9, 0xDA
_JFIF, _COMMENT, _ADOBE = 0xE0, 0xFE, 0xEE
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}    # the others are tables
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
_HUFFMAN = (0xC0, 0xC1, 0xC2)
_COEFFICIENTS = frozenset(range(64))

# Encoders write 10 scans or so; each one costs time by the size of the picture, not of the data.
_MOST_SCANS = 64
# Cameras leave a few bytes, or fill up a block, between the last pixel and the end marker. A
# picture of which something is missing or wrong leaves many there.
_MOST_LEFT, _MOST_FILLED = 16, 64

_STANDARD_JFIF = b'\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0'
_ODD_HEADER = re.compile('unknown JFIF revision|Unknown Adobe color|Invalid SOS parameters|'
                         'bad ICC|extraneous bytes before marker 0x(?!d[0-79])')
_PADDED = re.compile('([0-9]+) extraneous bytes before marker 0xd9')


class _Header(NamedTuple):
    """What stands before the first scan.

    :param frame: the marker that tells the kind of coding
    :param components: their ids
    :param scan: where the first scan's segment begins
    """

    frame: int
    width: int
    height: int
    components: bytes
    scan: int


def decode_jpeg(data: bytes, *, grey: bool, max_pixels: int) -> np.ndarray:
    """Decode a JPEG.

    :param data: from the start marker on; what follows the end marker is ignored.
    :param grey: return the luminance alone.
    :param max_pixels: the largest width times height.
    :returns: (H, W, 3) uint8 blue-green-red, or (H, W) uint8.
    :raises ImageError: the picture is damaged, incomplete, too large or no JPEG.
    """
    header = _read_header(data)
    check_pixels(header.width, header.height, max_pixels)
    # Each 8x8 block of pixels takes a bit or more.
    if header.frame in _HUFFMAN and 512 * len(data) < header.width * header.height:
        raise _damaged(f'{len(data)} bytes cannot hold {header.width}x{header.height} pixels')
    if header.frame in _PROGRESSIVE or data[header.scan] < len(header.components):
        _check_scans(data, header)
    try:
        return _pixels(data, grey)
    except ValueError as error:
        return _in_spite_of(str(error), data, grey)


def check_decoder() -> None:
    """See that the decoder is there, before the first picture comes.

    :raises ConfigurationError: it is not installed.
    """
    try:
        import simplejpeg  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigurationError(f'compressed images: {advice(error) or error}') from error


def _pixels(data: bytes, grey: bool) -> np.ndarray:
    import simplejpeg    # here, so that a computer that only trains or measures needs it not

    image = simplejpeg.decode_jpeg(data, 'GRAY' if grey else 'BGR', strict=True)
    return image[..., 0] if grey else image


def _in_spite_of(warning: str, data: bytes, grey: bool) -> np.ndarray:
    """Decode a picture of which libjpeg warned, if the warning is harmless.

    libjpeg tells the first warning alone. So its cause is removed, to see whether there are more.
    """
    if _ODD_HEADER.search(warning):
        data = _with_plain_header(data)
        try:
            return _pixels(data, grey)
        except ValueError as error:
            warning = str(error)
    padded = _PADDED.search(warning)
    if padded and _is_padding(data, int(padded[1])):
        # Without them: where restart markers are still to come, more warnings follow.
        end = _end_marker(data)
        try:
            return _pixels(data[:end - int(padded[1])] + data[end:], grey)
        except ValueError as error:
            warning = str(error)
    raise _damaged(warning)


def _is_padding(data: bytes, length: int) -> bool:
    """Tell whether the bytes before the end marker are padding, not pixels that were left over."""
    if length <= _MOST_LEFT or length > _MOST_FILLED:
        return length <= _MOST_LEFT
    end = _end_marker(data)
    return data[end - length:end].count(data[end - 1]) == length


def _end_marker(data: bytes) -> int:
    return next(start for marker, start, _ in _segments(data, 2) if marker == _END) - 2


def _segments(data: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of the content of each segment, to the end marker.

    :param at: where to begin; bytes in between that belong to no segment are skipped.
    :raises ImageError: there is no end marker, or a segment reaches beyond the data.
    """
    while True:
        found = _MARKER.search(data, at)
        if found is None:
            raise _damaged('it ends before its end marker')
        marker, start = found[1][0], found.end()
        if marker == _END:
            yield marker, start, start
            return
        end = start + int.from_bytes(data[start:start + 2], 'big')
        if not start + 2 <= end <= len(data):
            raise _damaged(f'a segment of {end - start} bytes at byte {start}')
        yield marker, start + 2, end
        at = end


def _read_header(data: bytes) -> _Header:
    frame, width, height, components = 0, 0, 0, b''
    for marker, start, end in _segments(data, 2):
        if marker in _FRAMES:
            count = data[start + 5] if end >= start + 6 else 0
            if end < start + 6 + 3 * count:
                raise _damaged('the frame header is too short')
            height = int.from_bytes(data[start + 1:start + 3], 'big')
            width = int.from_bytes(data[start + 3:start + 5], 'big')
            frame, components = marker, data[start + 6:start + 6 + 3 * count:3]
        elif marker == _SCAN:
            if not components or end == start:
                break
            return _Header(frame, width, height, components, start)
    raise _damaged('there are no pixels in it')


def _check_scans(data: bytes, header: _Header) -> None:
    """Look whether the scans bring every coefficient of every component, to its last bit.

    What ends between two scans is a whole picture to libjpeg, a blurred or pale one.
    """
    missing = {component: set(_COEFFICIENTS) for component in header.components}
    scans = 0
    for marker, start, end in _segments(data, header.scan - 4):
        if marker != _SCAN:
            continue
        scans += 1
        if scans > _MOST_SCANS:
            raise _damaged(f'it has more than {_MOST_SCANS} scans')
        scan = data[start:end]
        count = scan[0] if scan else 0
        if len(scan) < 4 + 2 * count:
            raise _damaged('the header of a scan is too short')
        first, last, bits = scan[1 + 2 * count:4 + 2 * count]
        if header.frame not in _PROGRESSIVE:
            first, last, bits = 0, 63, 0
        if not bits & 15:
            for component in scan[1:1 + 2 * count:2]:
                missing.get(component, set()).difference_update(range(first, last + 1))
    if any(missing.values()):
        raise _damaged(f'some of its scans are missing: there are {scans}')


def _with_plain_header(data: bytes) -> bytes:
    """Return the same picture with nothing in its header that decoders find odd."""
    parts = [data[:2]]
    frame = 0
    for marker, start, end in _segments(data, 2):
        content = data[start:end]
        if marker in _FRAMES:
            frame = marker
        if marker == _SCAN:
            if frame not in _PROGRESSIVE:
                content = content[:-3] + b'\x00\x3f\x00'
            parts += [data[start - 4:start], content, data[end:]]
            break
        if marker == _JFIF and content.startswith(b'JFIF\0'):
            parts.append(_STANDARD_JFIF)
        elif not _JFIF <= marker <= _COMMENT or marker == _ADOBE and content[11:] <= b'\2':
            parts += [data[start - 4:start], content]
    return b''.join(parts)


def _damaged(reason: str) -> ImageError:
    return ImageError(f'JPEG cannot be decoded, it is truncated or damaged: {reason}; check the '
                      'camera, and the way to here')
