# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A folder of images as a recording."""

import functools
import pathlib
from typing import TYPE_CHECKING, Container, Iterator, Optional

import numpy as np

from lvs_ros.datasets.drive import DriveFrame
from lvs_ros.datasets.footage import EXPECTED, FILE_TOPIC, Footage, FootageFrame
from lvs_ros.datasets.frame_times import (FASTEST_HZ, SIDECAR, SLOWEST_HZ, FrameTime, FrameTimes,
                                          check_rate, times_told)
from lvs_ros.datasets.image_folder import FORMATS, image_files
from lvs_ros.errors import ConfigurationError, DatasetError, ImageError, RecordingError

if TYPE_CHECKING:
    from lvs_ros.recordings.recorded_message import RecordedMessage

RATE_HZ = 15.0
"""Of a folder whose times nothing tells."""


class FolderFootage(Footage):
    """Pictures, in the order of their names, or of their times where these are known.

    :param rate_hz: images per second; None = by their times, see :func:`open_footage`
    :raises RecordingError: when it holds no images
    """

    def __init__(self, path: pathlib.Path, rate_hz: Optional[float] = None) -> None:
        try:
            files = image_files(path)
        except DatasetError as error:
            raise RecordingError(f'{path}: no images; expected files ending in '
                                 f'{", ".join(FORMATS)}, or another recording: {EXPECTED}'
                                 ) from error
        found = _times(files, rate_hz, path / SIDECAR)
        super().__init__(path, told=found.told)
        first: dict[str, int] = {}
        for one in found.of_frames:
            first.setdefault(one.drive, len(first))
        self._frames = [DriveFrame(one.drive, one.time_s, file) for one, file in sorted(
            zip(found.of_frames, files), key=lambda pair: (first[pair[0].drive], pair[0].time_s))]

    def __len__(self) -> int:
        return len(self._frames)

    def decoded_from(self) -> Optional[str]:
        return 'a folder of images'

    def messages(self) -> Iterator['RecordedMessage']:
        from lvs_ros.recordings.file_message import FileMessages
        messages = FileMessages(FILE_TOPIC)
        for frame in self._frames:
            yield messages.next(frame.time_s, functools.partial(_load, frame))

    def frames(self, chosen: Container[int]) -> Iterator[FootageFrame]:
        """Decode the frames of these indices, in order.

        :raises DatasetError: naming a picture that cannot be read.
        """
        for index, frame in enumerate(self._frames):
            if index in chosen:
                yield FootageFrame(frame.time_s, frame.load()[0], str(frame.image_path),
                                   index)


def _times(files: list[pathlib.Path], rate_hz: Optional[float], sidecar: pathlib.Path
           ) -> FrameTimes:
    """Return when the pictures were taken.

    :raises ConfigurationError: for a rate that cannot be
    """
    names = [file.stem for file in files]
    if rate_hz is not None and not SLOWEST_HZ <= rate_hz <= FASTEST_HZ:
        raise ConfigurationError(f'--recording-rate {rate_hz:g}: expected {SLOWEST_HZ:g} to '
                                 f'{FASTEST_HZ:g} Hz')
    found = times_told(names, sidecar) if rate_hz is None else None
    if found is not None:
        check_rate(found.of_frames, found.told)
        return found
    given = '' if rate_hz is not None else '; --recording-rate gives another rate'
    rate_hz = rate_hz or RATE_HZ
    return FrameTimes([FrameTime('', index / rate_hz) for index in range(len(files))],
                      f'times: in the order of the names, {rate_hz:g} images a second{given}')


def _load(frame: DriveFrame) -> np.ndarray:
    try:
        return frame.load()[0]
    except DatasetError as error:
        raise ImageError(str(error)) from error
