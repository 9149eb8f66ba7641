# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/CompressedImage with pictures that are damaged, forged or none."""

from __future__ import annotations

import random
import struct
from typing import Callable

import cv2
import numpy as np

from lvs_ros.benchmark.faults import pictures
from lvs_ros.benchmark.faults.any_message import ANY_MESSAGE, flip_bits
from lvs_ros.benchmark.faults.messages import CompressedImage, Expected, Fault
from lvs_ros.benchmark.faults.pictures import END_OF_IMAGE, Picture, scan_start

_SIZES = ((96, 64), (121, 83))
_THUMBNAIL = 32, 24
_MEGABYTES = 5_000_000
_LAST_BITS = 24    # bytes at the end of a JPEG that may hold nothing but padding and its marker
_HUGE = (20_000, 30_000), (65_535, 65_535), (65_535, 400)

_LONG_FORMAT = 'format of megabytes'
_FORMATS = {
    'picture called otherwise': (b'', b'png', b'jpg', b'rgb8; png compressed bgr8'),
    'depth picture': (
        b'16UC1; png compressed', b'32FC1; png compressed', b'16UC1; png compressed ',
        b'16UC1; compressedDepth png', b'32FC1; compressedDepth rvl'),
    _LONG_FORMAT: (b'xx', b'\xff\xff', b'; ', b'\n\n')}

Made = tuple[bytes, Expected]


class CompressedFaults:
    """Makes messages with faults, and without.

    :param picture: (H, W, 3) uint8 RGB, of which the pictures are made
    """

    topic = 'image_raw/compressed'

    def __init__(self, picture: np.ndarray) -> None:
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        scaled = [cv2.resize(bgr, size, interpolation=cv2.INTER_AREA) for size in _SIZES]
        self._sentinel = cv2.imencode('.png', bgr)[1].tobytes()
        self._jpegs = [one for image in scaled for one in pictures.jpegs(image)]
        self._standard = {image.shape[1::-1]: pictures.jpegs(image)[0] for image in scaled}
        self._pngs = [one for image in scaled for one in pictures.pngs(image)]
        self._others = [one for image in scaled for one in pictures.others(image)]
        self._depth = [pictures.pngs(image)[-1] for image in scaled]
        self._thumbnail = cv2.imencode('.jpg', cv2.resize(bgr, _THUMBNAIL))[1].tobytes()
        self._kinds: dict[str, Callable[[random.Random, Picture, Picture], Made]] = {
            'JPEG of every kind': lambda _, jpeg, __: (jpeg.data, Expected.MASK),
            'PNG of every kind': lambda _, __, png: (png.data, Expected.MASK),
            'other format': lambda rng, *_: (rng.choice(self._others).data, Expected.ANY),
            'other format, cut': self._other_cut,
            'JPEG, bytes behind its end': self._behind,
            'JPEG without Huffman tables': lambda _, jpeg, __: (
                pictures.without_huffman_tables(self._standard[jpeg.size].data), Expected.MASK),
            'JPEG with fill bytes':
                lambda _, jpeg, __: (pictures.with_fill_bytes(jpeg.data), Expected.MASK),
            'JPEG with a thumbnail': lambda _, jpeg, __: (
                pictures.with_thumbnail(jpeg.data, self._thumbnail), Expected.MASK),
            'JPEG cut': lambda rng, jpeg, _: (
                jpeg.data[:rng.randrange(len(jpeg.data) - _LAST_BITS)], Expected.NO_MASK),
            'JPEG cut, with a thumbnail': self._thumbnail_cut,
            'JPEG cut, with an end marker': self._jpeg_ended,
            'JPEG, middle removed': self._jpeg_middle, 'JPEG of a forged size': self._jpeg_size,
            'JPEG, bits flipped': lambda rng, jpeg, _: self._flipped(rng, jpeg),
            'JPEG header, bits flipped': lambda rng, jpeg, _: (
                flip_bits(rng, jpeg.data, 0, scan_start(jpeg.data)), Expected.ANY),
            'PNG cut': self._png_cut, 'PNG, middle removed': self._png_middle,
            'PNG of a forged size': self._png_size,
            'PNG, bits flipped': lambda rng, _, png: self._flipped(rng, png),
            'PNG, chunk length flipped': self._png_length,
            'PNG bomb': lambda *_: (pictures.png_bomb(), Expected.NO_MASK),
            'PNG with a text bomb': lambda rng, *_: (
                rng.choice(pictures.text_bombs(self._pngs[0].data)), Expected.ANY),
            'header of a huge picture': self._header, 'no picture': self._nothing,
            'picture called otherwise': lambda _, jpeg, __: (jpeg.data, Expected.MASK),
            'depth picture': lambda rng, *_: (rng.choice(self._depth).data, Expected.NO_MASK),
            _LONG_FORMAT: lambda _, jpeg, __: (jpeg.data, Expected.ANY)}
        self.kinds = (*ANY_MESSAGE, *self._kinds)

    def sentinel(self, stamp_ns: int) -> bytes:
        """Return the message whose mask is known."""
        return CompressedImage(*divmod(stamp_ns, 1_000_000_000), format=b'png',
                               data=self._sentinel).serialize()

    def fault(self, random_: random.Random, kind: str, stamp_ns: int) -> Fault:
        """Make a message of one of the kinds.

        :param stamp_ns: of now
        """
        sec, nanosec = divmod(stamp_ns, 1_000_000_000)
        jpeg, png = random_.choice(self._jpegs), random_.choice(self._pngs)
        if kind in ANY_MESSAGE:
            message = CompressedImage(sec, nanosec, data=jpeg.data)
            return Fault(kind, *ANY_MESSAGE[kind](random_, message), jpeg.size)
        data, expected = self._kinds[kind](random_, jpeg, png)
        format = random_.choice(_FORMATS.get(kind, (b'jpeg', b'rgb8; jpeg compressed bgr8')))
        if kind == _LONG_FORMAT:
            format *= _MEGABYTES // len(format)
        size = png.size if kind.startswith('PNG') else jpeg.size
        message = CompressedImage(sec, nanosec, format=format, data=data)
        return Fault(kind, message.serialize(), expected, size)

    def _other_cut(self, random_: random.Random, *_: Picture) -> Made:
        data = random_.choice(self._others).data
        return data[:random_.randrange(len(data) * 4 // 5)], Expected.NO_MASK

    def _behind(self, random_: random.Random, jpeg: Picture, _: Picture) -> Made:
        return jpeg.data + random_.choice((
            bytes(random_.randint(1, 2000)), random_.randbytes(100), b'\xff', jpeg.data)), \
            Expected.MASK

    def _thumbnail_cut(self, random_: random.Random, jpeg: Picture, _: Picture) -> Made:
        data = pictures.with_thumbnail(jpeg.data, self._thumbnail)
        return data[:random_.randrange(scan_start(data), len(data) - _LAST_BITS)], Expected.NO_MASK

    def _jpeg_ended(self, random_: random.Random, jpeg: Picture, _: Picture) -> Made:
        stop = random_.randrange(scan_start(jpeg.data), len(jpeg.data) - _LAST_BITS)
        return jpeg.data[:stop] + END_OF_IMAGE, Expected.NO_MASK

    def _jpeg_middle(self, random_: random.Random, jpeg: Picture, _: Picture) -> Made:
        first, last = scan_start(jpeg.data), len(jpeg.data) - 2
        begin = random_.randrange(first, first + (last - first) // 2)
        end = random_.randrange(begin + (last - first) // 4, last)
        return jpeg.data[:begin] + jpeg.data[end:], Expected.NO_MASK

    def _jpeg_size(self, random_: random.Random, jpeg: Picture, _: Picture) -> Made:
        width, height = jpeg.size
        width, height = random_.choice((
            (2 * width, height), (width, 2 * height), (0, height), (0, 0), *_HUGE))
        return pictures.with_jpeg_size(jpeg.data, width, height), Expected.NO_MASK

    def _flipped(self, random_: random.Random, picture: Picture) -> Made:
        return flip_bits(random_, picture.data, 0, len(picture.data)), Expected.ANY

    def _png_cut(self, random_: random.Random, _: Picture, png: Picture) -> Made:
        end = png.data.rindex(b'IEND') - 4
        return png.data[:random_.randrange(end - 4)], Expected.NO_MASK

    def _png_middle(self, random_: random.Random, _: Picture, png: Picture) -> Made:
        first, last = png.data.index(b'IDAT') + 4, png.data.rindex(b'IEND') - 8
        begin = random_.randrange(first, last - 1)
        end = random_.randrange(begin + 1, last)
        return png.data[:begin] + png.data[end:], Expected.NO_MASK

    def _png_size(self, random_: random.Random, _: Picture, png: Picture) -> Made:
        width, height = png.size
        width, height = random_.choice((
            (2 * width, height), (width, 2 * height), (0, height), ((1 << 32) - 1, height),
            (1 << 31, 1 << 31), *_HUGE))
        return pictures.with_png_size(png.data, width, height), Expected.NO_MASK

    def _png_length(self, random_: random.Random, _: Picture, png: Picture) -> Made:
        at = png.data.index(random_.choice((b'IHDR', b'IDAT'))) - 4
        return flip_bits(random_, png.data, at, at + 4, most=1), Expected.NO_MASK

    def _header(self, random_: random.Random, *_: Picture) -> Made:
        rest = random_.randbytes(random_.randrange(2000))
        return random_.choice((
            b'BM' + struct.pack('<IIIIiiHH', 54, 0, 54, 40, 30_000, 30_000, 1, 24) + bytes(24),
            b'P6\n30000 30000\n255\n', b'P5\n65535 65535\n65535\n', b'PF\n30000 30000\n-1.0\n',
            b'GIF89a' + struct.pack('<HHBBB', 65_535, 65_535, 0xf7, 0, 0),
            b'RIFF' + struct.pack('<I4s4sI', 2000, b'WEBP', b'VP8X', 10) + b'\0\0\0\0'
            + b'\xff\xff\x00' * 2,
            b'#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 30000 +X 30000\n',
            b'II*\0\x08\0\0\0', b'MM\0*\0\0\0\x08', b'\x76\x2f\x31\x01\x02\0\0\0',
            b'\0\0\0\x0cjP  \r\n\x87\n', b'\x59\xa6\x6a\x95', b'\0\0\0\x1cftypavif'
        )) + rest, Expected.NO_MASK

    def _nothing(self, random_: random.Random, *_: Picture) -> Made:
        return random_.choice((
            b'', b'\xff\xd8', b'\x89PNG\r\n\x1a\n', b'\xff\xd8\xff\xd9', bytes(500),
            b'<html>404</html>', random_.randbytes(random_.randrange(1, 3000)))), Expected.NO_MASK
