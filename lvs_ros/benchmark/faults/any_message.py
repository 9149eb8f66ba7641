# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a serialised message, whatever image it holds."""

from __future__ import annotations

import dataclasses
import random
import struct
from typing import Callable

from lvs_ros.benchmark.faults.messages import (CompressedImage, Expected, Fields, RawImage)

Made = tuple[bytes, Expected]
MakeFault = Callable[[random.Random, Fields], Made]

_MEGABYTE = 1_000_000
_KNOWN_ENCAPSULATIONS = (b'\0\0', b'\0\1', b'\0\6', b'\0\7')
_FRAME_ID_LENGTH_AT = 12    # behind encapsulation and stamp
_FIELDS_BYTES = 120
_PADDING = 4    # a middleware fills a message up to a multiple of it


def flip_bits(random_: random.Random, data: bytes, start: int, stop: int, most: int = 8) -> bytes:
    """Flip one to ``most`` bits of the bytes from ``start`` to ``stop``."""
    flipped = bytearray(data)
    for _ in range(random_.randint(1, most)):
        flipped[random_.randrange(start, stop)] ^= 1 << random_.randrange(8)
    return bytes(flipped)


def _good(random_: random.Random, good: Fields) -> Made:
    return good.serialize(), Expected.MASK


def _big_endian(random_: random.Random, good: Fields) -> Made:
    return dataclasses.replace(good, byte_order='>').serialize(), Expected.MASK


def _padded(random_: random.Random, good: Fields) -> Made:
    return good.serialize() + random_.randbytes(random_.randint(1, 3)), Expected.MASK


def _truncated(random_: random.Random, good: Fields) -> Made:
    cdr = good.serialize()
    stop = random_.choice((min(_FIELDS_BYTES, len(cdr)), len(cdr)))
    # Not of all: Fast DDS sends no message of 0 bytes, and nothing after it, where it is reliable.
    return cdr[:random_.randrange(1, stop - _PADDING)], Expected.NO_MASK


def _flipped(random_: random.Random, good: Fields) -> Made:
    cdr = good.serialize()
    return flip_bits(random_, cdr, 0, len(cdr) - len(good.data)), Expected.ANY


def _encapsulation(random_: random.Random, good: Fields) -> Made:
    first = _KNOWN_ENCAPSULATIONS[0]
    while first in _KNOWN_ENCAPSULATIONS:
        first = bytes((random_.choice((0, 0, random_.randrange(256))), random_.randrange(256)))
    return first + good.serialize()[2:], Expected.NO_MASK


def _wrong_byte_order(random_: random.Random, good: Fields) -> Made:
    return b'\0\0' + good.serialize()[2:], Expected.NO_MASK


def _options(random_: random.Random, good: Fields) -> Made:
    cdr = good.serialize()
    return cdr[:2] + random_.randbytes(2) + cdr[4:], Expected.ANY


def _long_text(random_: random.Random, good: Fields) -> Made:
    cdr = bytearray(good.serialize())
    length = random_.choice((len(cdr), 1 << 31, (1 << 32) - 1,
                             random_.randrange(len(cdr), 1 << 32)))
    struct.pack_into('<I', cdr, _FRAME_ID_LENGTH_AT, length)
    return bytes(cdr), Expected.NO_MASK


def _long_data(random_: random.Random, good: Fields) -> Made:
    cdr = bytearray(good.serialize())
    count = len(good.data)
    length = random_.choice((count + _PADDING, 1 << 31, (1 << 32) - 1,
                             random_.randrange(count + _PADDING, 1 << 32)))
    struct.pack_into('<I', cdr, len(cdr) - count - 4, length)
    return bytes(cdr), Expected.NO_MASK


def _other_type(random_: random.Random, good: Fields) -> Made:
    text = random_.randbytes(random_.randrange(200))
    other = (CompressedImage(good.sec, good.nanosec, data=text) if isinstance(good, RawImage) else
             RawImage(good.sec, good.nanosec, height=8, width=8, step=24, data=bytes(192)))
    return random_.choice((
        b'\0\1\0\0' + struct.pack('<I', len(text) + 1) + text + b'\0',    # std_msgs/String
        b'\0\1\0\0' + random_.randbytes(random_.randrange(400)),
        bytes(random_.randrange(4, 400)), b'\xff' * random_.randrange(4, 400),
        other.serialize())), Expected.NO_MASK


def _stamp(random_: random.Random, good: Fields) -> Made:
    nanoseconds = good.sec * 1_000_000_000 + good.nanosec
    sec, nanosec = random_.choice((
        *(divmod(nanoseconds + offset, 1_000_000_000)
          for offset in (-50_000_000, -5_000_000_000, -1, 5_000_000_000)),
        (0, 0), (0, 1), (-1, 0), (-(1 << 31), 0), ((1 << 31) - 1, 999_999_999),
        (good.sec, (1 << 32) - 1)))
    return dataclasses.replace(good, sec=sec, nanosec=nanosec).serialize(), Expected.MASK


def _frame_id(random_: random.Random, good: Fields) -> Made:
    frame_id = random_.choice((
        b'', b'x' * _MEGABYTE, b'\xff\xfe' + random_.randbytes(random_.randrange(40)),
        b'a\0b', b'line\nline\x1b[2J', 'Dach_über'.encode()))
    return dataclasses.replace(good, frame_id=frame_id).serialize(), Expected.MASK


ANY_MESSAGE: dict[str, MakeFault] = {
    'no fault': _good,
    'big-endian message': _big_endian,
    'bytes behind the message': _padded,
    'message truncated': _truncated,
    'bits flipped in the fields': _flipped,
    'unknown encapsulation': _encapsulation,
    'wrong byte order': _wrong_byte_order,
    'encapsulation options': _options,
    'length of a text too large': _long_text,
    'length of the data too large': _long_data,
    'message of another type': _other_type,
    'odd stamp': _stamp,
    'odd frame_id': _frame_id,
}
"""Kinds of faults; what makes one gets a message that has none."""
