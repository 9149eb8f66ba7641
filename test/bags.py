# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Makes recordings for tests with the writers of ``rosbags``, not with those of the package."""

import dataclasses
import pathlib
from typing import Any, Iterable, Sequence

import cv2
import numpy as np
from rosbags.rosbag1 import Writer as Rosbag1Writer
from rosbags.rosbag2 import StoragePlugin, Writer as Rosbag2Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
S = 1_000_000_000

ROS2 = get_typestore(Stores.ROS2_HUMBLE)
ROS1 = get_typestore(Stores.ROS1_NOETIC)

VIDEO = 'foxglove_msgs/msg/CompressedVideo'
PACKET = 'ffmpeg_image_transport_msgs/msg/FFMPEGPacket'
for _store in (ROS1, ROS2):
    _store.register(get_types_from_msg("""
        # foxglove-sdk, schemas/ros2/CompressedVideo.msg, without what newer versions add
        builtin_interfaces/Time timestamp
        string frame_id
        uint8[] data
        string format""", VIDEO))
    _store.register(get_types_from_msg("""
        # ffmpeg_image_transport_msgs, msg/FFMPEGPacket.msg
        std_msgs/Header header
        int32 width
        int32 height
        string encoding
        uint64 pts
        uint8 flags
        bool is_bigendian
        uint8[] data""", PACKET))


@dataclasses.dataclass(frozen=True)
class Entry:
    """A message, by its topic and fields, or as ``raw`` bytes; recorded at ``log_time_ns``."""

    topic: str
    msgtype: str
    log_time_ns: int
    fields: dict[str, Any]
    raw: bytes = b''


def pictures(count: int, *, width: int = 65, height: int = 49, seed: int = 1) -> list[np.ndarray]:
    """Make (H, W, 3) uint8 images of coloured blobs that move a little from one to the next."""
    rng = np.random.default_rng(seed)
    canvas = rng.integers(0, 256, (height // 8 + 4, width // 8 + 4 + count, 3), np.uint8)
    large = cv2.resize(canvas, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
    return [np.ascontiguousarray(large[:height, 2 * i:2 * i + width]) for i in range(count)]


def raw_entry(topic: str, image: np.ndarray, stamp_ns: int, *, encoding: str = 'rgb8',
              padding: int = 0, frame_id: str = 'front', log_time_ns: int | None = None) -> Entry:
    """Make an Image whose rows are padded with ``padding`` bytes."""
    rows = image.reshape(image.shape[0], -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    return Entry(topic, IMAGE, stamp_ns if log_time_ns is None else log_time_ns, {
        'stamp_ns': stamp_ns, 'frame_id': frame_id, 'height': image.shape[0],
        'width': image.shape[1], 'encoding': encoding, 'is_bigendian': 0,
        'step': padded.shape[1], 'data': padded.reshape(-1)})


def compressed_entry(topic: str, data: bytes, stamp_ns: int, *, format: str = 'png',
                     frame_id: str = 'front', log_time_ns: int | None = None) -> Entry:
    """Make a CompressedImage."""
    return Entry(topic, COMPRESSED, stamp_ns if log_time_ns is None else log_time_ns, {
        'stamp_ns': stamp_ns, 'frame_id': frame_id, 'format': format,
        'data': np.frombuffer(data, np.uint8)})


def video_entry(kind: str, topic: str, data: bytes, stamp_ns: int, *, format: str,
                frame_id: str = 'front', log_time_ns: int | None = None) -> Entry:
    """Make a message of a coded video, of one of the three types (``kind``) that hold one."""
    if kind == COMPRESSED:
        return compressed_entry(topic, data, stamp_ns, format=format, frame_id=frame_id,
                                log_time_ns=log_time_ns)
    values = np.frombuffer(data, np.uint8)
    log_time_ns = stamp_ns if log_time_ns is None else log_time_ns
    if kind == VIDEO:
        stamp = ROS2.types['builtin_interfaces/msg/Time'](*divmod(stamp_ns, S))
        return Entry(topic, VIDEO, log_time_ns, {
            'timestamp': stamp, 'frame_id': frame_id, 'data': values, 'format': format})
    return Entry(topic, PACKET, log_time_ns, {
        'stamp_ns': stamp_ns, 'frame_id': frame_id, 'width': 64, 'height': 48, 'pts': 9,
        'encoding': f'{format};yuv420p;bgr8;bgr8', 'flags': 0, 'is_bigendian': False,
        'data': values})


def text_entry(topic: str, text: str, log_time_ns: int) -> Entry:
    """Make a std_msgs/String."""
    return Entry(topic, 'std_msgs/msg/String', log_time_ns, {'data': text})


def png(image: np.ndarray) -> bytes:
    """Return an RGB image as a PNG file."""
    return cv2.imencode('.png', image[..., ::-1])[1].tobytes()


def write_rosbag2(path: pathlib.Path, entries: Sequence[Entry], *, storage: str = 'mcap',
                  empty_topics: Iterable[tuple[str, str]] = ()) -> pathlib.Path:
    """Write a rosbag2 folder."""
    with Rosbag2Writer(path, version=9, storage_plugin=StoragePlugin[storage.upper()]) as writer:
        connections = {}
        topics = [(entry.topic, entry.msgtype) for entry in entries] + list(empty_topics)
        for topic, msgtype in dict.fromkeys(topics):
            connections[topic] = writer.add_connection(topic, msgtype, typestore=ROS2)
        for entry in entries:
            data = entry.raw or ROS2.serialize_cdr(_message(ROS2, entry), entry.msgtype)
            writer.write(connections[entry.topic], entry.log_time_ns, data)
    return path


def write_rosbag1(path: pathlib.Path, entries: Sequence[Entry]) -> pathlib.Path:
    """Write a ROS 1 .bag file."""
    with Rosbag1Writer(path) as writer:
        connections = {}
        for topic, msgtype in dict.fromkeys((entry.topic, entry.msgtype) for entry in entries):
            connections[topic] = writer.add_connection(topic, msgtype, typestore=ROS1)
        for entry in entries:
            data = entry.raw or ROS1.serialize_ros1(_message(ROS1, entry, seq=7), entry.msgtype)
            writer.write(connections[entry.topic], entry.log_time_ns, data)
    return path


def serialized(entry: Entry) -> bytes:
    """Return a message as ROS 2 serialises it."""
    return bytes(ROS2.serialize_cdr(_message(ROS2, entry), entry.msgtype))


def _message(store: Any, entry: Entry, **extra: Any) -> Any:
    fields = dict(entry.fields)
    if 'stamp_ns' in fields:
        sec, nanosec = divmod(fields.pop('stamp_ns'), S)
        stamp = store.types['builtin_interfaces/msg/Time'](sec=sec, nanosec=nanosec)
        fields['header'] = store.types['std_msgs/msg/Header'](
            stamp=stamp, frame_id=fields.pop('frame_id'), **extra)
    return store.types[entry.msgtype](**fields)
