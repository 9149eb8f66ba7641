# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Coded video in recordings: messages, each with a part of a stream, as images.

A picture can be decoded only with those before it, from a key frame on, and may come after some
that are shown later (B-frames). Messages are decoded in the order of their recording; an image
keeps the stamp of the message that held it, whatever the order in which the decoder gives it back.
What a damaged message leaves behind is not shown: a decoder would go on with pictures that look
like some, from references that it made up.
"""

import dataclasses
from typing import Any, Iterable, Iterator, Optional, Union

import av

from lvs_ros.errors import ImageError, RecordingError
from lvs_ros.pipeline.frame import Frame
from lvs_ros.pipeline.pixel_limit import FILE_PIXELS, MAX_PIXELS, check_pixels
from lvs_ros.recordings.h264_gaps import FrameNumbers
from lvs_ros.recordings.key_frames import Content, content, parameter_sets, units
from lvs_ros.recordings.recorded_message import RecordedMessage

# FFmpeg's own decoder of AV1 needs a GPU.
_DECODERS = {'av1': ('libdav1d', 'libaom-av1', 'av1')}

_LONGEST_WAIT = 64
"""Messages after which a picture is given up; H.264 and H.265 reorder 16 at most."""


@dataclasses.dataclass(frozen=True)
class VideoMessage(RecordedMessage):
    """A message whose part of a video has been decoded, or why it could not be.

    :param picture: an ``av.VideoFrame``, or the error
    :param parts: the messages that have been read since the image before
    """

    picture: Union[Any, ImageError] = None
    parts: tuple[RecordedMessage, ...] = ()

    @property
    def stored(self) -> tuple[RecordedMessage, ...]:
        """The messages that have been read since the image before, in their order."""
        return self.parts

    def decode(self, max_pixels: int = MAX_PIXELS) -> tuple[Frame, str]:
        """Return the frame, RGB, and its frame_id; never rotated.

        :param max_pixels: the largest width times height that is taken
        :raises ImageError: when there is no image, or it is too large
        """
        if isinstance(self.picture, ImageError):
            raise self.picture
        check_pixels(self.picture.width, self.picture.height, max_pixels)
        return self._with_header(self.picture.to_ndarray(format='rgb24'), 'rgb')


def with_video_decoded(messages: Iterable[RecordedMessage]) -> Iterator[RecordedMessage]:
    """Decode the parts of videos among image messages; others pass as they are.

    Each message with a picture comes out once, with an image or an error; that with nothing but
    parameters of the stream does not. Log times never go back: an image that had to wait for
    another one has the log time of that one at least.

    :param messages: of one topic, in the order of their recording
    :raises RecordingError: when FFmpeg was built without the decoder
    """
    decoder: Optional[_Decoder] = None
    log_time_ns = 0
    for message in messages:
        done: list[RecordedMessage] = []
        try:
            codec = message.video_codec()
        except ImageError:    # which message.decode() will raise again
            codec = None
        if decoder is not None and (codec is None or codec != decoder.codec):
            done, decoder = decoder.finish(), None
        if codec is None:
            done.append(message)
        else:
            decoder = decoder or _Decoder(codec)
            done += decoder.add(message)
        for one in done:
            log_time_ns = max(log_time_ns, one.log_time_ns)
            yield dataclasses.replace(one, log_time_ns=log_time_ns)
    for one in [] if decoder is None else decoder.finish():
        log_time_ns = max(log_time_ns, one.log_time_ns)
        yield dataclasses.replace(one, log_time_ns=log_time_ns)


class _Decoder:
    """Decodes one stream.

    :param codec: as :func:`~lvs_ros.pipeline.encodings.video_codec` names it
    """

    def __init__(self, codec: str) -> None:
        self.codec = codec
        self._context = _open(codec)
        self._waiting: dict[int, RecordedMessage] = {}    # for their pictures; by number
        self._parts: list[RecordedMessage] = []
        self._count = 0
        self._parameters = b''    # for the next picture; that of a message of their own
        self._last_parameters = b''
        self._numbers = FrameNumbers() if codec == 'h264' else None
        self._untrusted = 'no key frame has come yet'    # why; empty: pictures are whole

    def add(self, message: RecordedMessage) -> list[RecordedMessage]:
        """Decode a message; return what is ready now."""
        data = bytes(message.parse().data)
        what = content(self.codec, data)
        if what is Content.KEY_FRAME and self._untrusted:
            done = self.finish()    # nothing that comes refers to what is before
            self._untrusted = ''
        elif what is Content.PICTURE and self._untrusted:
            return [self._failed(message, f'{self._untrusted}; it cannot be decoded without one')]
        else:
            done = []
        self._parts.append(message)
        if what is Content.PARAMETERS:
            self._parameters += data
            return []
        self._count += 1
        self._waiting[self._count] = message
        data, self._parameters = self._parameters + data, b''
        self._last_parameters = parameter_sets(self.codec, data) or self._last_parameters
        packet = av.Packet(data)
        packet.pts = self._count
        if self._numbers is not None and self._numbers.missing(units(data)):
            return done + self._given_up(message, 'pictures before it are missing, or it is '
                                                  'damaged')
        try:
            return done + self._taken(self._context.decode(packet)) + self._overdue()
        except av.FFmpegError as error:
            return done + self._given_up(message, f'it is damaged ({error.args[-1]})')

    def finish(self) -> list[RecordedMessage]:
        """Return the pictures that are still to come, and the result of the others."""
        try:
            done = self._taken(self._context.decode(None))
        except av.FFmpegError:
            done = []
        # Flushing would not do: what a damaged picture leaves in the decoder alters the next.
        self._context = _open(self.codec)
        self._numbers = FrameNumbers() if self.codec == 'h264' else None
        self._parameters = self._last_parameters + self._parameters
        lost = [self._failed(message, 'no picture came of it; a message before it is missing, '
                                      'or damaged') for message in self._waiting.values()]
        self._waiting.clear()
        return done + lost

    def _given_up(self, message: RecordedMessage, reason: str) -> list[RecordedMessage]:
        """Give up a message, and pictures until the next key frame; those before are whole."""
        self._waiting.pop(self._count, None)
        done = self.finish()
        self._untrusted = 'one before it is missing or damaged, and no key frame has come since'
        return done + [self._failed(message, reason)]

    def _taken(self, pictures: list[Any]) -> list[RecordedMessage]:
        done: list[RecordedMessage] = []
        for picture in pictures:
            message = self._waiting.pop(picture.pts, None)
            if message is None:
                continue    # it was given up
            if picture.is_corrupt:
                done.append(self._failed(message, 'the decoder calls it corrupt'))
                continue
            done.append(_video_message(message, picture, tuple(self._parts)))
            self._parts.clear()
        return done

    def _overdue(self) -> list[RecordedMessage]:
        old = [number for number in self._waiting if number <= self._count - _LONGEST_WAIT]
        return [self._failed(self._waiting.pop(number), 'no picture came of it') for number in old]

    def _failed(self, message: RecordedMessage, reason: str) -> RecordedMessage:
        error = ImageError(f'{self.codec} video of {len(message.data)} bytes on '
                           f'{message.topic}: {reason}')
        return _video_message(message, error, ())


def _video_message(message: RecordedMessage, picture: Any,
                   parts: tuple[RecordedMessage, ...]) -> VideoMessage:
    return VideoMessage(message.topic, message.msgtype, message.log_time_ns, message.data,
                        message.ros1, picture, parts)


def _open(codec: str) -> Any:
    for name in _DECODERS.get(codec, (codec,)):
        try:
            context = av.CodecContext.create(name, 'r')
        except ValueError:    # av.codec.codec.UnknownCodecError
            continue
        context.thread_type = 'SLICE'    # threads over frames would tell of damage late
        context.options = {'err_detect': 'crccheck+explode', 'max_pixels': str(FILE_PIXELS)}
        return context
    raise RecordingError(f'FFmpeg was built without a decoder of {codec}; install the wheel: '
                         'pip install av')
