# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A video file as a recording."""

import functools
import pathlib
from typing import TYPE_CHECKING, Any, Iterator, Optional

import av
import numpy as np

from lvs_ros.datasets.footage import EXPECTED, FILE_TOPIC, Footage
from lvs_ros.datasets.orientation import matrix_orientation, upright
from lvs_ros.errors import ImageError, RecordingError

if TYPE_CHECKING:
    from lvs_ros.recordings.recorded_message import RecordedMessage

_NEW = 'If a player shows it, write it anew: ffmpeg -i FILE -c:v libx264 NEW.mp4'


class VideoFootage(Footage):
    """The first video stream of a file, upright, as its display matrix says.

    :raises RecordingError: when it has none, or it cannot be decoded
    """

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__(path)
        try:
            with av.open(str(path)) as container:
                stream = self._stream(container)
                # The count in a file's header is often missing or wrong; packets are true.
                self._count = sum(packet.size > 0 for packet in container.demux(stream))
        except (av.FFmpegError, OSError) as error:
            raise self._undecodable(error) from error
        if not self._count:
            raise RecordingError(f'{path}: a video without a frame; {EXPECTED}')

    def __len__(self) -> int:
        return self._count

    def decoded_from(self) -> Optional[str]:
        return 'a video file'

    def messages(self) -> Iterator['RecordedMessage']:
        from lvs_ros.recordings.file_message import FileMessages
        messages = FileMessages(FILE_TOPIC)
        try:
            with av.open(str(self.path)) as container:
                stream = self._stream(container)
                stream.thread_type = 'SLICE'    # threads over frames would tell of damage late
                rate_hz = float(stream.average_rate or 25)
                for index, frame in enumerate(self._decoded(container, stream)):
                    time_s = None if isinstance(frame, ImageError) else frame.time
                    yield messages.next(index / rate_hz if time_s is None else time_s,
                                        functools.partial(self._image, frame))
        except av.FFmpegError as error:
            raise self._undecodable(error) from error

    def _stream(self, container: Any) -> Any:
        streams = [stream for stream in container.streams.video
                   if 'attached_pic' not in str(getattr(stream, 'disposition', ''))]
        if not streams:
            raise self._undecodable('it holds no video')
        if streams[0].codec_context is None:
            raise RecordingError(f'{self.path}: there is no decoder of this video here '
                                 f'({container.format.long_name}); {EXPECTED}. {_NEW}')
        return streams[0]

    def _decoded(self, container: Any, stream: Any) -> Iterator[Any]:
        """Yield a frame, or the error, for each one that is there."""
        for packet in container.demux(stream):
            try:
                yield from packet.decode()
            except av.InvalidDataError as error:
                yield ImageError(f'{self.path}: a frame is damaged ({error.strerror})')

    def _image(self, frame: Any) -> np.ndarray:
        if isinstance(frame, ImageError):
            raise frame
        if frame.is_corrupt:
            raise ImageError(f'{self.path}: the decoder calls a frame corrupt')
        matrix = frame.side_data.get('DISPLAYMATRIX')
        image = frame.to_ndarray(format='rgb24')
        return image if matrix is None else upright(
            image, matrix_orientation(bytes(matrix), self.path))

    def _undecodable(self, reason: object) -> RecordingError:
        return RecordingError(f'{self.path}: cannot be decoded as a video ({reason}); {EXPECTED}. '
                              + _NEW)
