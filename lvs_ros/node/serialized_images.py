# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Serialised image messages to arrays and back: between DDS and the pipeline.

rclpy would copy the pixels once more on the way in and twice on the way out.

The messages are in CDR, as with all middlewares of ROS 2: four bytes of encapsulation, which name
the byte order, and then the fields one after another. A number of four bytes begins at a multiple
of four. A string or a sequence begins with its length; a string ends with a zero, which counts.
"""

from __future__ import annotations

import functools
import struct
from typing import Any, NamedTuple

import numpy as np
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from lvs_ros.errors import ImageError, shown
from lvs_ros.node.image_messages import cv_bridge, decode_with_cv_bridge
from lvs_ros.pipeline.encodings import decode_compressed, image_view, is_supported
from lvs_ros.pipeline.frame import Frame
from lvs_ros.pipeline.pixel_limit import MAX_PIXELS

_NANOSECONDS = 1_000_000_000
_ENCAPSULATION_BYTES = 4
_LITTLE_ENDIAN = b'\0\1\0\0'


# Encapsulations (DDS-XTypes 1.3, table 60) in which these messages look alike, CDR and plain CDR2,
# and the byte order of their numbers, as struct writes it.
_BYTE_ORDERS = {b'\0\0': '>', b'\0\1': '<', b'\0\6': '>', b'\0\7': '<'}


class SerializedHeader(NamedTuple):
    """A std_msgs/Header whose text is still in bytes.

    :param sec: of the stamp.
    :param nanosec: of the stamp.
    :param frame_id: as it came, whatever its text encoding.
    """

    sec: int
    nanosec: int
    frame_id: bytes

    @property
    def stamp_ns(self) -> int:
        """The stamp in nanoseconds."""
        return self.sec * _NANOSECONDS + self.nanosec

    def at(self, stamp_ns: int) -> SerializedHeader:
        """Return the same header with another stamp."""
        sec, nanosec = divmod(stamp_ns, _NANOSECONDS)
        return self._replace(sec=sec, nanosec=nanosec)

    def to_message(self) -> Header:
        """Return the header as rclpy has it; what is no UTF-8 in frame_id is replaced."""
        header = Header(frame_id=self.frame_id.decode('utf-8', 'replace'))
        header.stamp.sec, header.stamp.nanosec = self.sec, self.nanosec
        return header


class ReceivedImage(NamedTuple):
    """An image message that has been looked into.

    :param header: its header.
    :param frame: its image, a view on the message where the encoding allows that.
    """

    header: SerializedHeader
    frame: Frame


def read_header(cdr: bytes) -> SerializedHeader:
    """Read the header of any serialised message that begins with one.

    :raises ImageError: the message is malformed.
    """
    try:
        return _header(cdr, _byte_order(cdr))[0]
    except struct.error:
        raise _truncated(cdr) from None


def read_image(cdr: bytes, max_pixels: int = MAX_PIXELS) -> ReceivedImage:
    """Look into a serialised sensor_msgs/Image, without a copy where its encoding allows that.

    :param max_pixels: the largest width times height that is taken.
    :raises ImageError: the message is malformed, the image too large, or its encoding is known
        neither to this package nor to cv_bridge.
    """
    order = _byte_order(cdr)
    try:
        header, at = _header(cdr, order)
        height, width, length = struct.unpack_from(order + 'III', cdr, at)
        encoding, at = _text(cdr[at + 12:at + 12 + length]), at + 12 + length
        is_bigendian = cdr[at] != 0
        at = _aligned(at + 1)
        step, length = struct.unpack_from(order + 'II', cdr, at)
    except (struct.error, IndexError):
        raise _truncated(cdr) from None
    data = _data(cdr, at + 8, length)
    if not is_supported(encoding) and cv_bridge() is not None:
        image, channels = decode_with_cv_bridge(_deserialized(cdr), max_pixels), 'bgr'
    else:    # which says what is wrong with an encoding that is not supported
        image, channels = image_view(data, height=height, width=width, encoding=encoding,
                                     step=step, is_bigendian=is_bigendian, max_pixels=max_pixels)
    return ReceivedImage(header, Frame(image, header.stamp_ns, channels))


def read_compressed_image(cdr: bytes, max_pixels: int = MAX_PIXELS) -> ReceivedImage:
    """Decode a serialised sensor_msgs/CompressedImage.

    :param max_pixels: the largest width times height that is decoded.
    :raises ImageError: the message is malformed, or its image damaged, too large or no picture.
    """
    order = _byte_order(cdr)
    try:
        header, at = _header(cdr, order)
        length, = struct.unpack_from(order + 'I', cdr, at)
        format, at = _text(cdr[at + 4:at + 4 + length]), _aligned(at + 4 + length)
        length, = struct.unpack_from(order + 'I', cdr, at)
    except struct.error:
        raise _truncated(cdr) from None
    image, channels = decode_compressed(_data(cdr, at + 4, length), format, max_pixels=max_pixels)
    return ReceivedImage(header, Frame(image, header.stamp_ns, channels))


def write_image(image: np.ndarray, header: SerializedHeader,
                data: bytes | None = None) -> bytes:
    """Serialise a sensor_msgs/Image; the pixels are copied once.

    :param image: (H, W) uint8 for mono8, or (H, W, 3) uint8 for rgb8.
    :param header: becomes the message's header, unchanged.
    :param data: instead of the pixels, where a receiver expects them in another form.
    """
    pixels = np.ascontiguousarray(image).data if data is None else data
    length = image.nbytes if data is None else len(data)
    return b''.join((_LITTLE_ENDIAN, _stamp(header), _between(header.frame_id, image.shape),
                     struct.pack('<I', length), pixels))


def write_compressed_image(data: bytes, format: str, header: SerializedHeader) -> bytes:
    """Serialise a sensor_msgs/CompressedImage.

    :param data: the file of the picture.
    :param format: says what it is.
    :param header: becomes the message's header, unchanged.
    """
    fields = _string(header.frame_id) + _string(format.encode())
    return b''.join((_LITTLE_ENDIAN, _stamp(header), fields, struct.pack('<I', len(data)), data))


def _stamp(header: SerializedHeader) -> bytes:
    return struct.pack('<iI', header.sec, header.nanosec)


def _string(text: bytes) -> bytes:
    """Return a string, up to where the next number is."""
    field = struct.pack('<I', len(text) + 1) + text + b'\0'
    return field + bytes(-len(field) % 4)


@functools.lru_cache(maxsize=8)
def _between(frame_id: bytes, shape: tuple[int, ...]) -> bytes:
    """Return what lies between stamp and length of the pixels: it is the same for each frame.

    :param shape: (H, W) of a mono8 image, or (H, W, 3) of an rgb8 image.
    """
    height, width, channels = (*shape, 1)[:3]
    encoding = b'mono8\0' if channels == 1 else b'rgb8\0'
    fields = _string(frame_id) + struct.pack('<III', height, width, len(encoding)) + encoding
    fields += b'\0'  # is_bigendian
    fields += bytes(-len(fields) % 4)
    return fields + struct.pack('<I', width * channels)


def _byte_order(cdr: bytes) -> str:
    order = _BYTE_ORDERS.get(cdr[:2])
    if order is None:
        raise ImageError(f'serialised message of {len(cdr)} bytes that begins with '
                         f'{cdr[:_ENCAPSULATION_BYTES].hex(" ") or "nothing"}: expected CDR; its '
                         'publisher uses another format')
    return order


def _header(cdr: bytes, order: str) -> tuple[SerializedHeader, int]:
    """Read the header; return it, and where the next number is."""
    sec, nanosec, length = struct.unpack_from(order + 'iII', cdr, _ENCAPSULATION_BYTES)
    start = _ENCAPSULATION_BYTES + 12
    if start + length > len(cdr):
        raise _truncated(cdr)
    frame_id = cdr[start:start + length].removesuffix(b'\0')
    return SerializedHeader(sec, nanosec, frame_id), _aligned(start + length)


def _deserialized(cdr: bytes) -> Image:
    try:
        return deserialize_message(cdr, Image)
    except MemoryError:
        raise
    except Exception as error:  # several kinds, by the version of rclpy, and for text not in UTF-8
        raise ImageError(f'serialised message of {len(cdr)} bytes is no sensor_msgs/Image: '
                         f'{shown(str(error))}') from error


def _aligned(position: int) -> int:
    """Return where a number of four bytes is that comes next."""
    return (position + 3) & ~3


def _text(string: bytes) -> str:
    return string.removesuffix(b'\0').decode('utf-8', 'replace')


def _truncated(cdr: bytes) -> ImageError:
    return ImageError(f'serialised message of {len(cdr)} bytes: it ends within its fields; it is '
                      'truncated, or of another type')


class _Memory:
    """Shows a part of a message to NumPy as memory that may be written to.

    Nothing writes there, but torch warns of read-only memory, and a copy would be needed to avoid
    that. rclpy has made the message for this callback, so nothing else refers to it.
    """

    def __init__(self, cdr: bytes, start: int, length: int) -> None:
        self._cdr = cdr  # lives as long as a view on it
        whole: Any = np.frombuffer(cdr, np.uint8)
        address = whole.__array_interface__['data'][0] + start
        self.__array_interface__ = {'version': 3, 'typestr': '|u1', 'shape': (length,),
                                    'data': (address, False)}


def _data(cdr: bytes, start: int, length: int) -> np.ndarray:
    """View a part of the message as (length,) uint8."""
    if start + length > len(cdr):
        raise _truncated(cdr)
    return np.asarray(_Memory(cdr, start, length))
