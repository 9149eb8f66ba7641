# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Image messages as bytes of CDR, written field by field so that each can be wrong by itself."""

from __future__ import annotations

import dataclasses
import enum
import struct

ENCAPSULATIONS = {'<': b'\0\1\0\0', '>': b'\0\0\0\0'}


class Expected(enum.Enum):
    """What must become of a message."""

    NO_MASK = 'no mask'
    MASK = 'mask'
    ANY = 'either'    # the fault cannot be detected, or only in some places


@dataclasses.dataclass(frozen=True)
class Fault:
    """A message to be sent, and what is expected.

    :param kind: of fault, a few words
    :param cdr: the message, serialised
    :param size: (width, height) of the image where a mask is expected
    """

    kind: str
    cdr: bytes
    expected: Expected
    size: tuple[int, int] = (0, 0)


@dataclasses.dataclass(frozen=True)
class Fields:
    """The header of a message, and how it is serialised.

    :param frame_id: without the zero at its end
    :param byte_order: '<' or '>'
    :param data: the last field of all messages
    """

    sec: int
    nanosec: int
    frame_id: bytes = b'camera'
    byte_order: str = '<'
    data: bytes = b''

    def serialize(self) -> bytes:
        """Return the message, with nothing behind its last field."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class RawImage(Fields):
    """A sensor_msgs/Image."""

    height: int = 0
    width: int = 0
    encoding: bytes = b'rgb8'
    is_bigendian: int = 0
    step: int = 0

    def serialize(self) -> bytes:
        """Return the message, with nothing behind its last field."""
        cdr = _Cdr(self)
        cdr.numbers(self.height, self.width)
        cdr.text(self.encoding)
        cdr.octet(self.is_bigendian)
        cdr.numbers(self.step)
        return cdr.end_with(self.data)


@dataclasses.dataclass(frozen=True)
class CompressedImage(Fields):
    """A sensor_msgs/CompressedImage."""

    format: bytes = b'jpeg'

    def serialize(self) -> bytes:
        """Return the message, with nothing behind its last field."""
        cdr = _Cdr(self)
        cdr.text(self.format)
        return cdr.end_with(self.data)


class _Cdr:
    """Bytes of CDR after an encapsulation of four bytes: a multiple of what numbers align to."""

    def __init__(self, header: Fields) -> None:
        self._order = header.byte_order
        self._bytes = bytearray(ENCAPSULATIONS[self._order])
        self._bytes += struct.pack(self._order + 'iI', header.sec, header.nanosec)
        self.text(header.frame_id)

    def numbers(self, *values: int) -> None:
        self._bytes += bytes(-len(self._bytes) % 4)
        self._bytes += struct.pack(f'{self._order}{len(values)}I', *values)

    def octet(self, value: int) -> None:
        self._bytes.append(value)

    def text(self, value: bytes) -> None:
        self.numbers(len(value) + 1)
        self._bytes += value + b'\0'

    def end_with(self, data: bytes) -> bytes:
        self.numbers(len(data))
        return bytes(self._bytes) + data
