# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Reading the images of recordings: rosbag2 (mcap, sqlite3) and ROS 1 bags, one after the other.

Nothing of ROS needs to be installed; the ``rosbags`` library reads the files.
"""

import contextlib
import dataclasses
import pathlib
from typing import Iterator, Optional, Union

from rosbags.rosbag1 import Reader as Rosbag1Reader
from rosbags.rosbag2 import Reader as Rosbag2Reader

from lvs_ros.errors import ImageError, RecordingError
from lvs_ros.recordings.message_types import IMAGE, IMAGE_TYPES
from lvs_ros.recordings.recorded_message import RecordedMessage

_EXPECTED = ('expected a rosbag2 folder (it holds metadata.yaml), or a .mcap, .db3 or '
             'ROS 1 .bag file')
_REPAIRS = {
    '.mcap': 'if the recorder was killed, `mcap recover` may save what is in it',
    '.db3': 'if the recorder was killed, `sqlite3 FILE .recover` may save what is in it',
    '.bag': 'if the recorder was killed, `rosbag reindex` may save what is in it',
    '': 'if the recorder was killed, `ros2 bag reindex` may save what is in it',
}


@dataclasses.dataclass(frozen=True)
class RecordedTopic:
    """A topic of a recording.

    :param name: its name
    :param msgtype: its type, 'sensor_msgs/msg/Image' for example
    :param count: how many messages of it were recorded
    """

    name: str
    msgtype: str
    count: int

    def __str__(self) -> str:
        return f'{self.name} ({self.msgtype}, {self.count} messages)'


class Recording:
    """An open recording; a context manager. Messages are read from the disk as they are asked for.

    :param path: rosbag2 folder, or .mcap, .db3 or ROS 1 .bag file
    :raises RecordingError: when it is missing, truncated or of another kind
    """

    def __init__(self, path: Union[str, pathlib.Path]) -> None:
        self.path = pathlib.Path(path)
        reader_class = _reader_class(self.path)
        self._ros1 = reader_class is Rosbag1Reader
        # A damaged file makes the parser raise errors of many types (its own, of struct, codecs,
        # the database): all mean that the file cannot be read. So also below.
        try:
            self._reader = reader_class(self.path)
            self._reader.open()
        except Exception as error:
            raise self._unreadable(error) from error
        # None: publishers of several types met on one name.
        self.topics = tuple(
            RecordedTopic(name, info.msgtype or 'several types', info.msgcount)
            for name, info in sorted(self._reader.topics.items()))

    @property
    def image_topics(self) -> tuple[RecordedTopic, ...]:
        """The topics of images, single or coded as a video."""
        return tuple(topic for topic in self.topics if topic.msgtype in IMAGE_TYPES)

    def image_topic(self, name: Optional[str] = None) -> RecordedTopic:
        """Choose an image topic.

        :param name: its name; None for the only one that has messages
        :raises RecordingError: when there is none, it is empty, or the choice is not clear
        """
        if name is not None:
            chosen = [topic for topic in self.topics if topic.name.lstrip('/') == name.lstrip('/')]
            if not chosen:
                raise RecordingError(f'{self.path}: no topic {name}; {self._list_topics()}')
            if chosen[0].msgtype not in IMAGE_TYPES:
                raise RecordingError(f'{self.path}: {chosen[0]} holds no images; '
                                     + self._list_topics())
        else:
            chosen = [topic for topic in self.image_topics if topic.count]
            if len(chosen) > 1:
                raise RecordingError(f'{self.path}: several image topics; choose one of them '
                                     'with --topic: '
                                     + ', '.join(map(str, chosen)))
        if not chosen or not chosen[0].count:
            raise RecordingError(f'{self.path}: no image was recorded; {self._list_topics()}')
        return chosen[0]

    def messages(self, topic: RecordedTopic) -> Iterator[RecordedMessage]:
        """Yield the messages of an image topic as they are, in the order of their recording.

        :raises RecordingError: when the file is damaged further on
        """
        connections = [connection for connection in self._reader.connections
                       if connection.topic == topic.name]
        stored = self._reader.messages(connections=connections)
        while True:
            try:
                connection, log_time_ns, data = next(stored)
            except StopIteration:
                return
            except Exception as error:
                raise self._unreadable(error) from error
            yield RecordedMessage(topic=topic.name, msgtype=connection.msgtype,
                                  log_time_ns=log_time_ns, data=bytes(data), ros1=self._ros1)

    def images(self, topic: RecordedTopic) -> Iterator[RecordedMessage]:
        """Yield the messages of an image topic such that each can be decoded.

        They come in the order of their recording; those of a coded video in the order in which
        its pictures are shown (:func:`~lvs_ros.recordings.coded_video.with_video_decoded`).

        :raises RecordingError: when the file is damaged further on
        """
        if topic.msgtype == IMAGE:
            return self.messages(topic)
        from lvs_ros.recordings.coded_video import with_video_decoded
        return with_video_decoded(self.messages(topic))

    def video_codec(self, topic: RecordedTopic) -> Optional[str]:
        """Tell in which codec an image topic is a video, by its first message; None: in none.

        :raises RecordingError: when the file is damaged
        """
        for message in self.messages(topic):
            with contextlib.suppress(ImageError):
                return message.video_codec()
        return None

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def __enter__(self) -> 'Recording':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _list_topics(self) -> str:
        if not self.topics:
            return 'the recording holds no topics'
        return 'it holds: ' + ', '.join(map(str, self.topics))

    def _unreadable(self, error: Exception) -> RecordingError:
        suffix = '' if self.path.is_dir() else self.path.suffix
        return RecordingError(f'{self.path}: cannot be read, it is damaged, truncated or of '
                              f'another kind ({error or type(error).__name__}); '
                              + _REPAIRS[suffix])


def _reader_class(path: pathlib.Path) -> type[Union[Rosbag1Reader, Rosbag2Reader]]:
    if not path.exists():
        raise RecordingError(f'{path}: no such file or folder; {_EXPECTED}')
    if path.is_dir():
        if (path / 'metadata.yaml').is_file():
            return Rosbag2Reader
        inside = sorted(p.name for p in path.iterdir() if p.suffix in ('.mcap', '.db3', '.bag'))
        hint = (f'give one of the files in it ({", ".join(inside)}), or restore metadata.yaml '
                'with `ros2 bag reindex`' if inside else _EXPECTED)
        raise RecordingError(f'{path}: no recording, metadata.yaml is missing; {hint}')
    if not path.is_file():    # for example a pipe: reading it would block
        raise RecordingError(f'{path}: neither a file nor a folder; {_EXPECTED}')
    if path.suffix == '.bag':
        return Rosbag1Reader
    if path.suffix in ('.mcap', '.db3'):
        return Rosbag2Reader
    raise RecordingError(f'{path}: no recording; {_EXPECTED}')
