# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""One image message of a recording: as it was stored, as ROS 2 sends it, and decoded."""

import dataclasses
import struct
from typing import Any

from rosbags.serde import SerdeError

from lvs_ros.errors import ImageError
from lvs_ros.pipeline.encodings import decode_compressed, image_view
from lvs_ros.pipeline.frame import Frame
from lvs_ros.pipeline.pixel_limit import MAX_PIXELS
from lvs_ros.recordings.message_types import COMPRESSED_IMAGE, NS_PER_S, typestore

# Older versions of rosbags let the lower ones of these through.
_MALFORMED = (SerdeError, ValueError, IndexError, struct.error)


@dataclasses.dataclass(frozen=True)
class RecordedMessage:
    """A message of ``sensor_msgs/Image`` or ``CompressedImage`` as it is stored in the recording.

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
    def compressed(self) -> bool:
        """Whether this is a ``CompressedImage``."""
        return self.msgtype == COMPRESSED_IMAGE

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
            return typestore().deserialize_cdr(cdr, self.msgtype)
        except _MALFORMED as error:
            raise self._malformed(error) from error

    def decode(self, max_pixels: int = MAX_PIXELS) -> tuple[Frame, str]:
        """Return the frame and its frame_id; 8-bit raw images are views on the message.

        The frame's stamp is the header's, or, where the camera driver left that at zero, the time
        at which the message was recorded.

        :param max_pixels: the largest width times height that is taken, as by the node
        :raises ImageError: when the message or the image in it is malformed or too large
        """
        message = self.parse()
        if self.compressed:
            image, order = decode_compressed(message.data, message.format,
                                             max_pixels=max_pixels)
        else:
            image, order = image_view(
                message.data, height=message.height, width=message.width,
                encoding=message.encoding, step=message.step,
                is_bigendian=bool(message.is_bigendian), max_pixels=max_pixels)
        stamp = message.header.stamp
        stamp_ns = (stamp.sec * NS_PER_S + stamp.nanosec) or self.log_time_ns
        return Frame(image, stamp_ns, order), message.header.frame_id

    def _malformed(self, error: Exception) -> ImageError:
        return ImageError(f'message of {len(self.data)} bytes on {self.topic} is no '
                          f'{self.msgtype}: {error}')
