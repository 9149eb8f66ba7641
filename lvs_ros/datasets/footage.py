# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Unlabelled drives of any kind: recordings, folders of images, video files.

``len()`` returns the number of frames without decoding one, so that frames can be chosen first;
``frames(chosen)`` then decodes the chosen ones, in order.

What reads videos (PyAV) and recordings (rosbags) is imported where it is used: a training on
labelled images needs neither, on a server that may have neither.
"""

import abc
import functools
import pathlib
from typing import Any, Container, Iterator, NamedTuple, Optional

import numpy as np

from lvs_ros.datasets.drive import DriveFrame
from lvs_ros.datasets.image_folder import FORMATS, image_files
from lvs_ros.datasets.orientation import matrix_orientation, upright
from lvs_ros.errors import ImageError, RecordingError
from lvs_ros.pipeline.as_rgb import as_rgb
from lvs_ros.pipeline.pixel_limit import FILE_PIXELS

BAGS = ('.mcap', '.db3', '.bag')

_EXPECTED = ('expected a recording (a rosbag2 folder, or a .mcap, .db3 or ROS 1 .bag file), '
             'a folder of images, or a video file')


class FootageFrame(NamedTuple):
    """One decoded frame.

    :param time_s: time from any origin
    :param image: (H, W, 3) uint8 RGB
    :param name: what to call it in an error
    """

    time_s: float
    image: np.ndarray
    name: str


class Footage(abc.ABC):
    """A drive without labels.

    :param path: where it is
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    @abc.abstractmethod
    def __len__(self) -> int:
        """Count the frames."""

    @abc.abstractmethod
    def frames(self, chosen: Container[int]) -> Iterator[FootageFrame]:
        """Decode the frames of these indices, in order.

        Malformed images of a recording are left out, as the node drops them. Videos and pictures
        are upright, as their files say; images of recordings are as they are.

        :raises RecordingError: when the file is damaged further on.
        """


def open_footage(path: pathlib.Path, *, topic: Optional[str] = None,
                 rate_hz: float = 15.0) -> Footage:
    """Find out what is there, and see that it holds images.

    :param topic: the image topic of recordings; None for the only one
    :param rate_hz: images per second of a folder of images
    :raises RecordingError: naming the file, when it is missing, empty or cannot be read
    :raises DatasetError: for a folder that holds no images.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise RecordingError(f'{path}: no such file or folder; {_EXPECTED}')
    if path.is_dir():
        if (path / 'metadata.yaml').is_file() or any(
                one.suffix in BAGS for one in path.iterdir()):
            return _RecordedFootage(path, topic)
        return _FolderFootage(path, rate_hz)
    if not path.is_file():    # for example a pipe: reading it would block
        raise RecordingError(f'{path}: neither a file nor a folder; {_EXPECTED}')
    if path.suffix in BAGS:
        return _RecordedFootage(path, topic)
    if path.suffix.lower() in FORMATS:
        raise RecordingError(f'{path}: a single image; {_EXPECTED}')
    return _VideoFootage(path)


class _RecordedFootage(Footage):

    def __init__(self, path: pathlib.Path, topic: Optional[str]) -> None:
        from lvs_ros.recordings.recording import Recording
        super().__init__(path)
        self._open = functools.partial(Recording, path)
        with self._open() as recording:
            self._topic = recording.image_topic(topic)

    def __len__(self) -> int:
        return self._topic.count

    def frames(self, chosen: Container[int]) -> Iterator[FootageFrame]:
        with self._open() as recording:
            for index, message in enumerate(recording.images(self._topic)):
                if index not in chosen:
                    continue
                try:
                    frame, _ = message.decode(FILE_PIXELS)
                except ImageError:
                    continue
                yield FootageFrame(frame.stamp_ns / 1e9, as_rgb(frame),
                                   f'{self.path}, image {index}')


class _FolderFootage(Footage):

    def __init__(self, path: pathlib.Path, rate_hz: float) -> None:
        super().__init__(path)
        self._files, self._rate_hz = image_files(path), rate_hz

    def __len__(self) -> int:
        return len(self._files)

    def frames(self, chosen: Container[int]) -> Iterator[FootageFrame]:
        for index, path in enumerate(self._files):
            if index in chosen:
                time_s = index / self._rate_hz
                yield FootageFrame(time_s, DriveFrame('', time_s, path).load()[0], str(path))


class _VideoFootage(Footage):

    def __init__(self, path: pathlib.Path) -> None:
        import av
        super().__init__(path)
        try:
            with av.open(str(path)) as container:
                # The count in a file's header is often missing or wrong; packets are true.
                self._count = sum(packet.size > 0 for packet in container.demux(
                    container.streams.video[0]))
        except (av.FFmpegError, IndexError) as error:
            raise self._undecodable(error) from error
        if not self._count:
            raise RecordingError(f'{path}: a video without a frame; {_EXPECTED}')

    def __len__(self) -> int:
        return self._count

    def frames(self, chosen: Container[int]) -> Iterator[FootageFrame]:
        import av
        try:
            with av.open(str(self.path)) as container:
                stream = container.streams.video[0]
                stream.thread_type = 'AUTO'
                rate_hz = float(stream.average_rate or 25)
                for index, frame in enumerate(container.decode(stream)):
                    if index in chosen:
                        time_s = index / rate_hz if frame.time is None else frame.time
                        yield FootageFrame(time_s, self._upright(frame),
                                           f'{self.path}, frame {index}')
        except av.FFmpegError as error:
            raise self._undecodable(error) from error

    def _upright(self, frame: Any) -> np.ndarray:
        image = frame.to_ndarray(format='rgb24')
        matrix = frame.side_data.get('DISPLAYMATRIX')
        return image if matrix is None else upright(
            image, matrix_orientation(bytes(matrix), self.path))

    def _undecodable(self, error: Exception) -> RecordingError:
        reason = 'it holds no video' if isinstance(error, IndexError) else error
        return RecordingError(
            f'{self.path}: cannot be decoded as a video ({reason}); {_EXPECTED}. If a player '
            'shows it, write it anew: ffmpeg -i FILE -c:v libx264 NEW.mp4')


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
