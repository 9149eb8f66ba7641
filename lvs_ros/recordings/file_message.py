# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Images of files as if a camera had published them."""

import dataclasses
from typing import Any, Callable, Optional

import numpy as np

from lvs_ros.pipeline.frame import Frame
from lvs_ros.pipeline.pixel_limit import MAX_PIXELS, check_pixels
from lvs_ros.recordings.message_types import IMAGE, NS_PER_S, header_message, typestore
from lvs_ros.recordings.recorded_message import RecordedMessage
from lvs_ros.recordings.transport import raw_message

FIRST_STAMP_NS = NS_PER_S
"""Of the first image: a stamp of 0 reads as one that was not set."""

FRAME_ID = 'camera'


def _none(*_: object) -> np.ndarray:
    raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class FileMessage(RecordedMessage):
    """A ``sensor_msgs/Image`` whose image is decoded when it is asked for.

    :param stamp_ns: of its header
    :param load: returns the image, (H, W, 3) uint8 RGB, or raises ImageError
    """

    stamp_ns: int = FIRST_STAMP_NS
    load: Callable[[], np.ndarray] = _none

    def header(self) -> Any:
        """Return the header."""
        return header_message(self.stamp_ns, FRAME_ID)

    def video_codec(self) -> Optional[str]:
        """Tell that the message is a single image."""
        return None

    def decode(self, max_pixels: int = MAX_PIXELS) -> tuple[Frame, str]:
        """Return the frame and its frame_id.

        :param max_pixels: the largest width times height that is taken, as by the node
        :raises ImageError: when the image is malformed or too large
        """
        image = self.load()
        check_pixels(image.shape[1], image.shape[0], max_pixels)
        return Frame(image, self.stamp_ns, 'rgb'), FRAME_ID

    def cdr(self) -> bytes:
        """Return the message as ROS 2 serialises it.

        :raises ImageError: when the image is malformed
        """
        frame = Frame(self.load(), self.stamp_ns, 'rgb')
        return bytes(typestore().serialize_cdr(raw_message(self.header(), frame), IMAGE))


class FileMessages:
    """Makes the messages of a file or folder, one after the other."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._log_time_ns = 0

    def next(self, time_s: float, load: Callable[[], np.ndarray]) -> FileMessage:
        """Make a message.

        :param time_s: of the image, from the start of its drive; may go back, log times do not
        :param load: see :class:`FileMessage`
        """
        stamp_ns = FIRST_STAMP_NS + max(0, round(time_s * NS_PER_S))
        self._log_time_ns = max(self._log_time_ns, stamp_ns)
        return FileMessage(self._topic, IMAGE, self._log_time_ns, b'', stamp_ns=stamp_ns,
                           load=load)
