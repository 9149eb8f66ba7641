# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Writing H.264 videos whose frame times are those of the images."""

import contextlib
import fractions
import pathlib
from typing import Any, Iterator

import av
import cv2
import numpy as np

from lvs_ros.errors import ConfigurationError, OutputError

# Builds of FFmpeg differ in the encoders they bring along; the first of these is taken.
ENCODERS = ('libx264', 'libopenh264', 'h264')
# The clock of MPEG: fine enough for every camera rate, coarse enough for 32-bit players.
TICKS_PER_S = 90_000
LONGEST_S = 10
"""No image is shown for longer: a clock that was set would make a video of years."""


class VideoWriter:
    """Write images to an MP4 file; a context manager.

    The file stands under a temporary name until it is complete. Its size is that of the first
    image; odd sizes, which H.264's usual chroma layout cannot hold, are padded by one column or
    row. Later images of another size are scaled to it.

    :param path: file to be written, ``*.mp4``; an older one is replaced
    :param rate_hz: expected frame rate: a hint for the encoder, and the distance to the frame
        before where the stamps do not increase
    :param quality: constant rate factor of libx264, 0 (lossless) to 51
    """

    def __init__(self, path: pathlib.Path, *, rate_hz: float = 15.0, quality: int = 20) -> None:
        self._path = pathlib.Path(path)
        self._partial = self._path.with_name(f'.{self._path.name}.partial')
        self._rate_hz = rate_hz
        self._quality = quality
        self._container: Any = None
        self._stream: Any = None
        self._size = (0, 0)
        self._first_stamp_ns = 0
        self._last_ticks = -1
        self.frames = 0
        self.shortened = 0
        """How many images would have been shown for longer than :data:`LONGEST_S`."""

    def write(self, image: np.ndarray, stamp_ns: int) -> None:
        """Append an image.

        :param image: (H, W, 3) uint8 RGB
        :param stamp_ns: time at which to show it, nanoseconds, from any origin. Where time does
            not increase, the image follows the one before at the expected rate; it follows it
            after :data:`LONGEST_S` at the latest.
        :raises OutputError: when the file cannot be written
        """
        if self._container is None:
            self._open(image.shape[1], image.shape[0], stamp_ns)
        frame = av.VideoFrame.from_ndarray(self._fit(image), format='rgb24')
        frame.pts = self._next_ticks(stamp_ns)
        frame.time_base = fractions.Fraction(1, TICKS_PER_S)
        with self._writing():
            self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def close(self) -> None:
        """Finish the file; without an image there is none."""
        if self._container is None:
            return
        try:
            with self._writing():
                self._container.mux(self._stream.encode(None))
                self._container.close()
                self._partial.replace(self._path)
        finally:
            self.abort()

    def abort(self) -> None:
        """Give the file up: nothing of it is left."""
        if self._container is not None:
            container, self._container = self._container, None
            with contextlib.suppress(av.FFmpegError):    # it would write the rest of the file
                container.close()
        self._partial.unlink(missing_ok=True)

    def __enter__(self) -> 'VideoWriter':
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if error is None:
            self.close()
        else:
            self.abort()

    def _open(self, width: int, height: int, stamp_ns: int) -> None:
        self._size = (width, height)
        self._first_stamp_ns = stamp_ns
        with self._writing():
            self._container = av.open(str(self._partial), mode='w', format='mp4',
                                      options={'movflags': 'faststart'})
        rate = fractions.Fraction(self._rate_hz).limit_denominator(1001)
        stream = self._container.add_stream(_encoder(), rate=rate)
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = 'yuv420p'  # the layout that every player and browser shows
        stream.codec_context.time_base = fractions.Fraction(1, TICKS_PER_S)
        if stream.codec_context.name == 'libx264':
            stream.options = {'crf': str(self._quality), 'preset': 'veryfast'}
        else:
            stream.bit_rate = 4_000_000
        self._stream = stream

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, av.FFmpegError) as error:
            raise OutputError(f'{self._path}: the video cannot be written '
                              f'({error.strerror}); make room, or choose another place'
                              ) from error

    def _fit(self, image: np.ndarray) -> np.ndarray:
        width, height = self._size
        if image.shape[:2] != (height, width):
            image = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        if width % 2 or height % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode='edge')
        return np.ascontiguousarray(image)

    def _next_ticks(self, stamp_ns: int) -> int:
        ticks = round((stamp_ns - self._first_stamp_ns) * TICKS_PER_S / 1_000_000_000)
        step = ticks - self._last_ticks
        if self.frames and not 0 < step <= LONGEST_S * TICKS_PER_S:
            self.shortened += step > 0
            ticks = self._last_ticks + (LONGEST_S * TICKS_PER_S if step > 0
                                        else round(TICKS_PER_S / self._rate_hz))
            # What follows goes on from here, also where the recording began again.
            self._first_stamp_ns = stamp_ns - round(ticks * 1_000_000_000 / TICKS_PER_S)
        self._last_ticks = ticks
        return ticks


def _encoder() -> str:
    for name in ENCODERS:
        try:
            av.Codec(name, 'w')
        except ValueError:  # av.codec.codec.UnknownCodecError
            continue
        return name
    raise ConfigurationError('FFmpeg was built without an H.264 encoder; expected one of '
                             + ', '.join(ENCODERS) + '. Install the wheel: pip install av')
