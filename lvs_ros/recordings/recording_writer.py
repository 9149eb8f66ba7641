# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Writing recordings of images, masks and their status as rosbag2 folders."""

import contextlib
import math
import pathlib
import sqlite3
import struct
import types
from typing import Any, Final, Iterator, Optional, Union

import numpy as np
from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.serde import SerdeError

from lvs_ros.errors import ConfigurationError, OutputError
from lvs_ros.output_folder import output_folder
from lvs_ros.pipeline.frame import StepStatus
from lvs_ros.pipeline.status_fields import status_fields
from lvs_ros.recordings.message_types import (
    COMPRESSED_IMAGE,
    FRAME_STATUS,
    IMAGE,
    NS_PER_S,
    header_message,
    time_message,
    typestore,
)

STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}
"""The choice of file formats. mcap is what ROS 2 writes since Iron."""

# The newest layout of metadata.yaml; read by ROS 2 Jazzy and later.
_METADATA_VERSION: Final = 9

# Of the database; of times and sizes that the format has no room for.
_UNWRITABLE = (sqlite3.Error, SerdeError, struct.error, OverflowError)


class RecordingWriter:
    """Write a rosbag2 folder, which appears under its name when it is complete.

    A context manager: left with an exception, it leaves nothing behind. Message definitions are
    embedded, so that any tool can read the recording without this package.

    :param path: folder to be written
    :param storage: one of :data:`STORAGES`
    :param force: replace an earlier recording
    :raises ConfigurationError: when the folder exists already
    :raises OutputError: when it cannot be written, at the latest when the block is left
    """

    def __init__(self, path: pathlib.Path, *, storage: str = 'mcap', force: bool = False) -> None:
        if storage not in STORAGES:
            raise ConfigurationError(f'storage {storage!r}: expected ' + ' or '.join(STORAGES))
        self._path = pathlib.Path(path)
        self._storage = storage
        self._force = force
        self._connections: dict[str, Connection] = {}
        self._stack = contextlib.ExitStack()
        self._writer: Any = None

    def __enter__(self) -> 'RecordingWriter':
        with self._writing(), contextlib.ExitStack() as stack:
            folder = stack.enter_context(output_folder(
                self._path, marker='metadata.yaml', force=self._force))
            writer = Writer(folder, version=_METADATA_VERSION,
                            storage_plugin=STORAGES[self._storage])
            if self._storage == 'mcap':
                # Masks shrink fiftyfold. Every mcap reader knows it; for sqlite3 there is only
                # rosbag2's own compression, which needs a plugin.
                writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            self._writer = stack.enter_context(writer)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[types.TracebackType]) -> None:
        with self._writing():
            self._stack.__exit__(kind, error, traceback)

    def write_image(self, topic: str, image: np.ndarray, *, encoding: str, stamp_ns: int,
                    frame_id: str, log_time_ns: Optional[int] = None) -> None:
        """Write a ``sensor_msgs/Image``.

        :param topic: its topic
        :param image: (H, W) or (H, W, C) uint8
        :param encoding: what the bytes mean, 'rgb8' for example; 'mono8' for a mask
        :param stamp_ns: the header's stamp
        :param frame_id: the header's frame
        :param log_time_ns: when it was recorded; None: at its stamp
        """
        height, width = image.shape[:2]
        pixels = np.ascontiguousarray(image)
        message = typestore().types[IMAGE](
            header=header_message(stamp_ns, frame_id), height=height, width=width,
            encoding=encoding, is_bigendian=0, step=pixels.nbytes // height,
            data=pixels.reshape(-1))
        self._write(topic, IMAGE, message, log_time_ns)

    def write_compressed(self, topic: str, data: bytes, *, format: str, stamp_ns: int,
                         frame_id: str, log_time_ns: Optional[int] = None) -> None:
        """Write a ``sensor_msgs/CompressedImage``.

        :param topic: its topic, by convention ending in '/compressed'
        :param data: a JPEG or PNG file
        :param format: 'jpeg' or 'png'
        :param stamp_ns: the header's stamp
        :param frame_id: the header's frame
        :param log_time_ns: when it was recorded; None: at its stamp
        """
        message = typestore().types[COMPRESSED_IMAGE](
            header=header_message(stamp_ns, frame_id), format=format,
            data=np.frombuffer(data, np.uint8))
        self._write(topic, COMPRESSED_IMAGE, message, log_time_ns)

    def write_status(self, topic: str, status: StepStatus, *, stamp_ns: int, frame_id: str,
                     frames_received: int, frames_dropped: int,
                     log_time_ns: Optional[int] = None) -> None:
        """Write an ``lvs_ros/FrameStatus`` of a frame that was not published: without latency.

        :param topic: its topic
        :param status: what the pipeline said of the frame
        :param stamp_ns: the image's stamp
        :param frame_id: the image's frame
        :param frames_received: frames so far, this one included
        :param frames_dropped: malformed ones among them
        :param log_time_ns: when it was recorded; None: at its stamp
        """
        message = typestore().types[FRAME_STATUS](
            header=header_message(stamp_ns, frame_id),
            key_stamp=time_message(status.key_stamp_ns), **status_fields(status),
            publish_ms=math.nan, latency_ms=math.nan, stale=False,
            frames_received=frames_received, frames_dropped=frames_dropped)
        self._write(topic, FRAME_STATUS, message, log_time_ns)

    def write_serialized(self, topic: str, msgtype: str, cdr: Union[bytes, memoryview], *,
                         log_time_ns: int) -> None:
        """Write a message that is serialised already."""
        with self._writing():
            if topic not in self._connections:
                self._connections[topic] = self._writer.add_connection(
                    topic, msgtype, typestore=typestore())
            self._writer.write(self._connections[topic], log_time_ns, cdr)

    def _write(self, topic: str, msgtype: str, message: Any, log_time_ns: Optional[int]) -> None:
        if log_time_ns is None:
            stamp = message.header.stamp
            log_time_ns = stamp.sec * NS_PER_S + stamp.nanosec
        with self._writing():
            cdr = typestore().serialize_cdr(message, msgtype)
        self.write_serialized(topic, msgtype, cdr, log_time_ns=log_time_ns)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except _UNWRITABLE as error:
            raise OutputError(f'{self._path}: the recording cannot be written ({error})'
                              ) from error
