# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Recorded image messages as serialised ROS 2 messages: as they are, raw or compressed."""

import struct
from typing import Any

import cv2
import numpy as np

from lvs_ros.errors import ImageError
from lvs_ros.pipeline.as_rgb import as_rgb
from lvs_ros.pipeline.frame import Frame
from lvs_ros.pipeline.pixel_limit import FILE_PIXELS
from lvs_ros.recordings.message_types import (COMPRESSED_IMAGE, IMAGE, NS_PER_S, VIDEO_TYPES,
                                              typestore)
from lvs_ros.recordings.recorded_message import RecordedMessage

TRANSPORTS = ('recorded', 'raw', 'compressed')
"""'recorded' passes images on as they are; the others convert those of the other kind.

A coded video is decoded in any case: it has no meaning before its next key frame.
"""

COMPRESSED_SUFFIX = '/compressed'
"""What image_transport puts behind the name of a raw topic."""

_SUFFIXES = (COMPRESSED_SUFFIX, '/ffmpeg', '/foxglove')

_ENCODINGS = {'rgb': 'rgb8', 'bgr': 'bgr8', 'rgba': 'rgba8', 'bgra': 'bgra8', 'mono': 'mono8'}
_JPEG_QUALITY = 95
# CDR: four bytes of encapsulation, the second of which tells the byte order; then the header,
# which begins with the stamp.
_STAMP_START, _STAMP_END = 4, 12


def sent_type(msgtype: str, transport: str) -> str:
    """Return the message type that ``transport`` makes of a recorded one."""
    recorded = IMAGE if msgtype in VIDEO_TYPES else msgtype
    return {'recorded': recorded, 'raw': IMAGE, 'compressed': COMPRESSED_IMAGE}[transport]


def sent_topic(topic: str, msgtype: str, transport: str) -> str:
    """Return the topic that ``transport`` makes of a recorded one, as image_transport names it."""
    kind = sent_type(msgtype, transport)
    if kind == msgtype:
        return topic
    for suffix in _SUFFIXES:
        topic = topic.removesuffix(suffix)
    return topic + COMPRESSED_SUFFIX if kind == COMPRESSED_IMAGE else topic


def serialize(message: RecordedMessage, transport: str) -> bytes:
    """Serialise a recorded message the way it is to be sent.

    :param transport: one of :data:`TRANSPORTS`
    :return: CDR
    :raises ImageError: when the message is malformed, or must be converted and its image is
    """
    kind = sent_type(message.msgtype, transport)
    # Parsed in any case: what is no message at all would trip up its subscribers.
    header = message.header()
    if kind == message.msgtype and message.video_codec() is None:
        return message.cdr()
    frame, _ = message.decode(FILE_PIXELS)
    # The header as it is, not the frame's stamp, which stands in for one that is not set.
    image = frame.image
    if kind == COMPRESSED_IMAGE:
        bgr = as_rgb(frame)[..., ::-1]
        written, jpeg = cv2.imencode('.jpg', np.ascontiguousarray(bgr),
                                     [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        if not written:
            raise ImageError(f'OpenCV cannot compress an image of shape {image.shape}')
        sent = typestore().types[kind](header=header, format='jpeg', data=jpeg.reshape(-1))
    else:
        sent = raw_message(header, frame)
    return bytes(typestore().serialize_cdr(sent, kind))


def raw_message(header: Any, frame: Frame) -> Any:
    """Make a ``sensor_msgs/Image`` of a frame."""
    pixels = np.ascontiguousarray(frame.image)
    height, width = pixels.shape[:2]
    return typestore().types[IMAGE](
        header=header, height=height, width=width, encoding=_ENCODINGS[frame.order],
        is_bigendian=0, step=pixels.nbytes // height, data=pixels.reshape(-1))


def with_stamp(cdr: bytes, stamp_ns: int) -> bytes:
    """Return a serialised message that begins with a header, with another stamp in it.

    :param cdr: the message
    :param stamp_ns: the stamp, nanoseconds
    """
    byte_order = '<' if cdr[1] & 1 else '>'
    stamp = struct.pack(byte_order + 'iI', stamp_ns // NS_PER_S, stamp_ns % NS_PER_S)
    return b''.join((cdr[:_STAMP_START], stamp, memoryview(cdr)[_STAMP_END:]))
