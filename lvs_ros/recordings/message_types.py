# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The ROS messages of recordings, known to the ``rosbags`` library: no ROS installation needed.

A recording is read with the definitions below, not with those embedded in it: the image messages
have been the same in every ROS 2 release (ROS 1 has ``seq`` in the header besides, which the
library leaves out on conversion), and so a foreign topic of an unreadable type does no harm.
"""

import functools
from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from lvs_ros.errors import RecordingError
from lvs_ros.resources import config_dir

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
FRAME_STATUS = 'lvs_ros/msg/FrameStatus'
COMPRESSED_VIDEO = 'foxglove_msgs/msg/CompressedVideo'
FFMPEG_PACKET = 'ffmpeg_image_transport_msgs/msg/FFMPEGPacket'
VIDEO_TYPES = (COMPRESSED_VIDEO, FFMPEG_PACKET)
IMAGE_TYPES = (IMAGE, COMPRESSED_IMAGE, *VIDEO_TYPES)

_VIDEO_DEFINITIONS = {
    COMPRESSED_VIDEO: 'builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\n'
                      'string format\n',
    FFMPEG_PACKET: 'std_msgs/Header header\nint32 width\nint32 height\nstring encoding\n'
                   'uint64 pts\nuint8 flags\nbool is_bigendian\nuint8[] data\n',
}

NS_PER_S = 1_000_000_000


@functools.cache
def typestore() -> Typestore:
    """Return the definitions of ROS 2, of coded video, and ``lvs_ros/msg/FrameStatus``.

    :raises RecordingError: when FrameStatus.msg is not where the package installs it
    """
    path = config_dir().parent / 'msg' / 'FrameStatus.msg'
    try:
        text = path.read_text(encoding='utf-8')
    except OSError as error:
        raise RecordingError(f'{path}: cannot be read ({error.strerror}); the installation of '
                             'lvs_ros is incomplete, install it again') from error
    store = get_typestore(Stores.ROS2_HUMBLE)
    for name, definition in ((FRAME_STATUS, text), *_VIDEO_DEFINITIONS.items()):
        store.register(get_types_from_msg(definition, name))
    return store


def time_message(stamp_ns: int) -> Any:
    """Make a ``builtin_interfaces/Time`` of nanoseconds."""
    return typestore().types['builtin_interfaces/msg/Time'](
        sec=stamp_ns // NS_PER_S, nanosec=stamp_ns % NS_PER_S)


def header_message(stamp_ns: int, frame_id: str) -> Any:
    """Make a ``std_msgs/Header``."""
    return typestore().types['std_msgs/msg/Header'](stamp=time_message(stamp_ns),
                                                    frame_id=frame_id)
