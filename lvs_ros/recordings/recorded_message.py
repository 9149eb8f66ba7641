# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""One image message of a recording: as it was stored, as ROS 2 sends it, and decoded."""

import dataclasses
import struct
from typing import Any, Optional

import numpy as np
from rosbags.serde import SerdeError

from lvs_ros.errors import ImageError, shown
from lvs_ros.pipeline.encodings import (decode_compressed, image_view, refuse_video,
                                        video_codec)
from lvs_ros.pipeline.frame import Frame
from lvs_ros.pipeline.pixel_limit import MAX_PIXELS
from lvs_ros.recordings.message_types import (COMPRESSED_IMAGE, COMPRESSED_VIDEO, FFMPEG_PACKET,
                                              IMAGE, NS_PER_S, VIDEO_TYPES, header_message,
                                              typestore)

# Older versions of rosbags let the lower ones of these through.
_MALFORMED = (SerdeError, ValueError, IndexError, struct.error)


@dataclasses.dataclass(frozen=True)
class RecordedMessage:
    """A message with an image, or a part of a video, as it is stored in the recording.

    :param topic: where it was published
    :param msgtype: one of :data:`~lvs_ros.recordings.message_types.IMAGE_TYPES`
    :param log_time_ns: when it was recorded
    :param data: the serialised message
    :param ros1: it is serialised in the manner of ROS 1
    """

    topic: str
    msgtype: str
    log_time_ns: int
    data: bytes
    ros1: bool = False

    @property
    def stored(self) -> tuple['RecordedMessage', ...]:
        """The messages from which the image is decoded, in the order of their recording."""
        return (self,)

    def cdr(self) -> bytes:
        """Return the message as ROS 2 serialises it.

        :raises ImageError: when a ROS 1 message is malformed
        """
        if not self.ros1:
            return self.data
        try:
            return bytes(typestore().ros1_to_cdr(self.data, self.msgtype))
        except _MALFORMED as error:
            raise self._malformed(error) from error

    def parse(self) -> Any:
        """Return the message with its fields as attributes; ``data`` is a view, not a copy.

        :raises ImageError: when the message is malformed
        """
        cdr = self.cdr()
        try:
            if self.msgtype == COMPRESSED_VIDEO:
                cdr = _without_later_fields(cdr)
            return typestore().deserialize_cdr(cdr, self.msgtype)
        except _MALFORMED as error:
            raise self._malformed(error) from error

    def header(self) -> Any:
        """Return the header, which one of these types spells out.

        :raises ImageError: when the message is malformed
        """
        message = self.parse()
        if self.msgtype != COMPRESSED_VIDEO:
            return message.header
        stamp = message.timestamp
        return header_message(stamp.sec * NS_PER_S + stamp.nanosec, message.frame_id)

    def video_codec(self) -> Optional[str]:
        """Tell in which codec the message holds a part of a video; None for a single image.

        :raises ImageError: when the message is malformed, or a video in an unknown codec
        """
        if self.msgtype == IMAGE:
            return None
        message = self.parse()
        format = message.encoding if self.msgtype == FFMPEG_PACKET else message.format
        codec = video_codec(format)
        if codec is None and self.msgtype in VIDEO_TYPES:
            raise ImageError(f'video of format {shown(format)} on {self.topic}: expected h264, '
                             'h265, av1, vp9 or vp8')
        return codec

    def decode(self, max_pixels: int = MAX_PIXELS) -> tuple[Frame, str]:
        """Return the frame and its frame_id; 8-bit raw images are views on the message.

        The frame's stamp is the header's, or, where the camera driver left that at zero, the time
        at which the message was recorded. A part of a video is decoded together with those
        before it: :meth:`~lvs_ros.recordings.recording.Recording.images`.

        :param max_pixels: the largest width times height that is taken, as by the node
        :raises ImageError: when the message or the image in it is malformed or too large
        """
        message = self.parse()
        if self.msgtype in VIDEO_TYPES:
            refuse_video(self.video_codec() or '')
        if self.msgtype == COMPRESSED_IMAGE:
            image, order = decode_compressed(message.data, message.format,
                                             max_pixels=max_pixels)
        else:
            image, order = image_view(
                message.data, height=message.height, width=message.width,
                encoding=message.encoding, step=message.step,
                is_bigendian=bool(message.is_bigendian), max_pixels=max_pixels)
        return self._with_header(image, order)

    def _with_header(self, image: np.ndarray, order: str) -> tuple[Frame, str]:
        header = self.header()
        stamp_ns = (header.stamp.sec * NS_PER_S + header.stamp.nanosec) or self.log_time_ns
        return Frame(image, stamp_ns, order), header.frame_id

    def _malformed(self, error: Exception) -> ImageError:
        return ImageError(f'message of {len(self.data)} bytes on {self.topic} is no '
                          f'{self.msgtype}: {error}')


def _without_later_fields(cdr: bytes) -> bytes:
    """Cut a ``CompressedVideo`` behind ``format``: newer versions of it have more fields."""
    order = '<' if cdr[1] & 1 else '>'
    at = 4 + 8    # encapsulation, timestamp
    for _ in ('frame_id', 'data', 'format'):
        at = (at + 3) & ~3
        at += 4 + struct.unpack_from(order + 'I', cdr, at)[0]
    return cdr[:at]
