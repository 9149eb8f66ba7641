# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/Image with fields that do not fit, and with unusual ones that do."""

from __future__ import annotations

import dataclasses
import random
from typing import Callable

import numpy as np

from lvs_ros.benchmark.faults.any_message import ANY_MESSAGE
from lvs_ros.benchmark.faults.messages import Expected, Fault, RawImage

# Bits of a pixel. Those of the second line need an even width, of the third a height, too.
_BITS = {
    **{'rgb8': 24, 'bgr8': 24, 'rgba8': 32, 'bgra8': 32, 'mono8': 8, '8UC1': 8, '8UC3': 24,
       '8UC4': 32, 'rgb16': 48, 'bgr16': 48, 'rgba16': 64, 'bgra16': 64, 'mono16': 16},
    **{f'bayer_{order}{bits}': bits for order in ('rggb', 'bggr', 'gbrg', 'grbg')
       for bits in (8, 16)},
    **dict.fromkeys(('uyvy', 'yuv422', 'yuyv', 'yuv422_yuy2'), 16),
    **dict.fromkeys(('nv12', 'nv21'), 12),
}
_PACKED = ('rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono8', 'mono16', 'rgb16')
# Sides in pixels. Few, for torch keeps some memory for each size of image: with ever new ones,
# that could not be told from memory that grows with the messages.
_SIDES = (32, 58, 96, 160)
_SMALL = ((1, 1), (2, 2), (7, 31), (15, 16), (31, 5))
_MOST = (1 << 32) - 1
_MEGABYTES = 5_000_000

Made = tuple[RawImage, Expected]


class RawFaults:
    """Makes messages with faults, and without.

    :param picture: (H, W, 3) uint8 RGB, of which the images are made
    """

    topic = 'image_raw'

    def __init__(self, picture: np.ndarray) -> None:
        self._sentinel = picture
        self._pixels = picture.tobytes() * (1 + 2 * max(_SIDES) ** 2 * 8 // picture.size)
        self._kinds: dict[str, Callable[[random.Random, RawImage], Made]] = {
            'every encoding': self._any_encoding, 'unknown encoding': self._unknown_encoding,
            'depth': self._depth, 'encoding of megabytes': self._huge_encoding,
            'step too small': self._small_step, 'step too large': self._large_step,
            'padded rows': self._padded_rows, 'data too short': self._short_data,
            'data too long': self._long_data, 'side of zero': self._no_side,
            'side of few pixels': self._few_pixels, 'odd side': self._odd_side,
            'huge size': self._huge_size, 'size of others': self._other_size,
            'is_bigendian nonsense': self._bigendian}
        self.kinds = (*ANY_MESSAGE, *self._kinds)

    def sentinel(self, stamp_ns: int) -> bytes:
        """Return the message whose mask is known."""
        height, width = self._sentinel.shape[:2]
        return RawImage(*divmod(stamp_ns, 1_000_000_000), height=height, width=width,
                        step=3 * width, data=self._sentinel.tobytes()).serialize()

    def fault(self, random_: random.Random, kind: str, stamp_ns: int) -> Fault:
        """Make a message of one of the kinds.

        :param stamp_ns: of now
        """
        good = self._image(random_, 'rgb8', stamp_ns)
        size = good.width, good.height
        if kind in ANY_MESSAGE:
            return Fault(kind, *ANY_MESSAGE[kind](random_, good), size)
        image, expected = self._kinds[kind](random_, good)
        return Fault(kind, image.serialize(), expected, (image.width, image.height))

    def _image(self, random_: random.Random, encoding: str, stamp_ns: int) -> RawImage:
        width, height = random_.choice(_SIDES), random_.choice(_SIDES)
        return self._sized(RawImage(*divmod(stamp_ns, 1_000_000_000), encoding=encoding.encode()),
                           random_, width, height)

    def _sized(self, image: RawImage, random_: random.Random, width: int, height: int) -> RawImage:
        bits = _BITS[image.encoding.decode()]
        step = width if bits == 12 else width * bits // 8
        return dataclasses.replace(image, width=width, height=height, step=step,
                                   data=self._data(random_, width * height * bits // 8))

    def _data(self, random_: random.Random, count: int) -> bytes:
        start = random_.randrange(len(self._pixels) - count)
        return self._pixels[start:start + count]

    def _as(self, image: RawImage, random_: random.Random, encoding: str) -> RawImage:
        return self._sized(dataclasses.replace(image, encoding=encoding.encode()), random_,
                           image.width, image.height)

    def _any_encoding(self, random_: random.Random, image: RawImage) -> Made:
        return self._as(image, random_, random_.choice(list(_BITS))), Expected.MASK

    def _unknown_encoding(self, random_: random.Random, image: RawImage) -> Made:
        encoding = random_.choice((b'', b'rgb7', b'RGB8', b' rgb8', b'rgb8\n', b'jpeg', b'64FC3',
                                   b'\xff\xfe', random_.randbytes(20) + b'?'))
        return dataclasses.replace(image, encoding=encoding), Expected.NO_MASK

    def _depth(self, random_: random.Random, image: RawImage) -> Made:
        encoding, pixel_bytes = random_.choice(((b'16UC1', 2), (b'32FC1', 4), (b'16SC1', 2)))
        step = pixel_bytes * image.width
        return dataclasses.replace(image, encoding=encoding, step=step,
                                   data=self._data(random_, step * image.height)), Expected.NO_MASK

    def _huge_encoding(self, random_: random.Random, image: RawImage) -> Made:
        part = random_.choice((b'x', b'\xff', b'rgb8 ', b'\n'))
        encoding = part * (_MEGABYTES // random_.choice((1, 5, 50)) // len(part))
        return dataclasses.replace(image, encoding=encoding), Expected.NO_MASK

    def _small_step(self, random_: random.Random, image: RawImage) -> Made:
        return dataclasses.replace(image, step=random_.randrange(image.step)), Expected.NO_MASK

    def _large_step(self, random_: random.Random, image: RawImage) -> Made:
        step = random_.choice((image.step + 1, 1 << 31, _MOST,
                               random_.randrange(image.step + 1, _MOST)))
        return dataclasses.replace(image, step=step), Expected.NO_MASK

    def _padded_rows(self, random_: random.Random, image: RawImage) -> Made:
        image = self._as(image, random_, random_.choice(_PACKED))
        step = image.step + random_.randint(1, 64)
        last = random_.choice((step, image.step))    # the last row may lack its padding
        return dataclasses.replace(image, step=step, data=self._data(
            random_, (image.height - 1) * step + last)), Expected.MASK

    def _short_data(self, random_: random.Random, image: RawImage) -> Made:
        missing = random_.choice((1, random_.randint(1, len(image.data)), len(image.data)))
        return (dataclasses.replace(image, data=image.data[:len(image.data) - missing]),
                Expected.NO_MASK)

    def _long_data(self, random_: random.Random, image: RawImage) -> Made:
        return dataclasses.replace(
            image, data=image.data + random_.randbytes(random_.randint(1, 5000))), Expected.MASK

    def _no_side(self, random_: random.Random, image: RawImage) -> Made:
        return dataclasses.replace(image, **random_.choice((
            {'width': 0}, {'height': 0}, {'width': 0, 'height': 0},
            {'width': 0, 'step': 0}))), Expected.NO_MASK  # type: ignore[arg-type]

    def _few_pixels(self, random_: random.Random, image: RawImage) -> Made:
        width, height = random_.choice(((1, image.height), (image.width, 1), *_SMALL))
        return self._sized(image, random_, width, height), Expected.ANY

    def _odd_side(self, random_: random.Random, image: RawImage) -> Made:
        encoding = random_.choice((*_PACKED, 'bayer_rggb8', 'yuyv', 'nv12'))
        image = self._as(image, random_, encoding)
        odd = self._sized(image, random_, image.width + 1, image.height - 1)
        fits = encoding not in ('yuyv', 'nv12')
        return odd, Expected.MASK if fits else Expected.NO_MASK

    def _huge_size(self, random_: random.Random, image: RawImage) -> Made:
        encoding = random_.choice((b'rgb8', b'mono8', b'bayer_rggb8', b'nv12', b'yuyv'))
        width, height, step = random_.choice((
            (_MOST, _MOST, _MOST), (1 << 16, 1 << 16, 1 << 31), (_MOST, 1, _MOST),
            (image.width, _MOST, image.step), (1 << 30, image.height, _MOST),
            (image.width, 1 << 31, 1 << 31)))
        return dataclasses.replace(image, encoding=encoding, width=width, height=height,
                                   step=step), Expected.NO_MASK

    def _other_size(self, random_: random.Random, image: RawImage) -> Made:
        width, height = random_.choice(((320, 240), (240, 320), (64, 48), (33, 200), (200, 33)))
        return self._sized(image, random_, width, height), Expected.MASK

    def _bigendian(self, random_: random.Random, image: RawImage) -> Made:
        image = self._as(image, random_, random_.choice(_PACKED))
        return dataclasses.replace(image, is_bigendian=random_.randrange(2, 256)), Expected.MASK
