# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Recordings of any kind, without labels: rosbags, folders of images, video files.

``len()`` returns the number of images without decoding one, so that they can be chosen first;
``frames(chosen)`` then decodes the chosen ones, in order. ``messages()`` gives all of them as a
camera's messages, whatever the file.

What reads videos (PyAV) and rosbags is imported where it is used: a training on labelled images
needs neither, on a server that may have neither.
"""

import abc
import functools
import pathlib
from typing import TYPE_CHECKING, Container, Iterator, NamedTuple, Optional

import numpy as np

from lvs_ros.datasets.image_folder import FORMATS
from lvs_ros.errors import ImageError, RecordingError
from lvs_ros.pipeline.as_rgb import as_rgb
from lvs_ros.pipeline.pixel_limit import FILE_PIXELS

if TYPE_CHECKING:
    from lvs_ros.recordings.recorded_message import RecordedMessage

BAGS = ('.mcap', '.db3', '.bag')
FILE_TOPIC = '/image_raw'
"""Where the images of files are published, which have no topic of their own."""

KINDS = ('a rosbag (a rosbag2 folder, or a .mcap, .db3 or ROS 1 .bag file), a folder of images, '
         'or a video file')
EXPECTED = f'expected a recording: {KINDS}'


class FootageFrame(NamedTuple):
    """One decoded frame.

    :param time_s: time from any origin
    :param image: (H, W, 3) uint8 RGB
    :param name: what to call it in an error
    :param number: of it in the recording, from 0
    """

    time_s: float
    image: np.ndarray
    name: str
    number: int


class Footage(abc.ABC):
    """A drive without labels.

    :param path: where it is
    :param topic: of its images; :data:`FILE_TOPIC` of files
    :param msgtype: of its messages
    :param told: how its times were found out, for people; empty where the file has them
    """

    def __init__(self, path: pathlib.Path, topic: str = FILE_TOPIC,
                 msgtype: str = 'sensor_msgs/msg/Image', told: str = '') -> None:
        self.path, self.topic, self.msgtype, self.told = path, topic, msgtype, told

    @property
    def name(self) -> str:
        """What to call it in a report: no path."""
        return self.path.resolve().name

    @abc.abstractmethod
    def __len__(self) -> int:
        """Count the frames."""

    @abc.abstractmethod
    def decoded_from(self) -> Optional[str]:
        """Tell what its images have to be decoded from; None: they are messages as they are."""

    @abc.abstractmethod
    def messages(self) -> Iterator['RecordedMessage']:
        """Yield its images as messages, in order; log times never go back.

        Videos and pictures are upright, as their files say; images of rosbags are as they are.
        What cannot be decoded says so when it is asked for its image.

        :raises RecordingError: when the file is damaged further on.
        """

    def frames(self, chosen: Container[int]) -> Iterator[FootageFrame]:
        """Decode the frames of these indices, in order; malformed ones are left out.

        :raises LvsError: when the file is damaged further on.
        """
        for index, message in enumerate(self.messages()):
            if index not in chosen:
                continue
            try:
                frame, _ = message.decode(FILE_PIXELS)
            except ImageError:
                continue
            yield FootageFrame(frame.stamp_ns / 1e9, as_rgb(frame), f'{self.path}, image {index}',
                               index)


def open_footage(path: pathlib.Path, *, topic: Optional[str] = None,
                 rate_hz: Optional[float] = None) -> Footage:
    """Find out what is there, and see that it holds images.

    :param topic: the image topic of rosbags; None for the only one
    :param rate_hz: images per second of a folder of images; None = by a file of times or by their
        names, see :func:`~lvs_ros.datasets.frame_times.times_told`, else 15
    :raises RecordingError: naming the file, when it is missing, empty or cannot be read
    :raises DatasetError: for times that cannot be.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise RecordingError(f'{path}: no such file or folder; {EXPECTED}')
    if path.is_dir():
        if (path / 'metadata.yaml').is_file() or any(
                one.suffix in BAGS for one in path.iterdir()):
            return _RecordedFootage(path, topic)
        from lvs_ros.datasets.folder_footage import FolderFootage
        return FolderFootage(path, rate_hz)
    if not path.is_file():    # for example a pipe: reading it would block
        raise RecordingError(f'{path}: neither a file nor a folder; {EXPECTED}')
    if path.suffix in BAGS:
        return _RecordedFootage(path, topic)
    if path.suffix.lower() in FORMATS:
        raise RecordingError(f'{path}: a single image; {EXPECTED}')
    from lvs_ros.datasets.video_footage import VideoFootage
    return VideoFootage(path)


class _RecordedFootage(Footage):

    def __init__(self, path: pathlib.Path, topic: Optional[str]) -> None:
        from lvs_ros.recordings.recording import Recording
        self._open = functools.partial(Recording, path)
        with self._open() as recording:
            self._topic = recording.image_topic(topic)
        super().__init__(path, self._topic.name, self._topic.msgtype)

    def __len__(self) -> int:
        return self._topic.count

    def decoded_from(self) -> Optional[str]:
        with self._open() as recording:
            codec = recording.video_codec(self._topic)
        return codec and f'{codec} video'

    def messages(self) -> Iterator['RecordedMessage']:
        with self._open() as recording:
            yield from recording.images(self._topic)


def spread_runs(count: int, limit: int, *, run: int = 24) -> range | frozenset[int]:
    """Choose frames of a long drive: runs of consecutive ones, spread evenly over it.

    Single frames at a stride would be too far apart in time to learn motion from; a run of 24
    is 0.8 s at 30 Hz.

    :param count: frames there are
    :param limit: frames wanted at most; 0 = all
    :param run: length of a run; a shorter one where ``limit`` is smaller
    :return: indices
    """
    if not limit or count <= limit:
        return range(count)
    run = min(run, limit)
    runs = limit // run
    # run i lies in the middle of the i-th of equal parts
    starts = [(2 * part + 1) * count // (2 * runs) - run // 2 for part in range(runs)]
    return frozenset(start + step for start in starts for step in range(run))
