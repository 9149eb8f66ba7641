# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Makes coded video for tests, and decodes it, with PyAV alone."""

import fractions
import functools
from typing import Any, NamedTuple

import av
import bags
import numpy as np
import pytest

COUNT, GROUP = 20, 8
"""Pictures of each stream, and from one key frame to the next at most."""


class Codec(NamedTuple):
    """An encoder of FFmpeg, with a decoder that every build has, and what messages call it."""

    encoder: str
    decoder: str
    format: str
    options: dict[str, str]


CODECS = {
    'h264': Codec('libx264', 'h264', 'h264', {'tune': 'zerolatency', 'preset': 'ultrafast'}),
    'h264 with B-frames': Codec('libx264', 'h264', 'h264', {'preset': 'veryfast', 'bf': '2'}),
    'h265': Codec('libx265', 'hevc', 'h265', {
        'preset': 'ultrafast',    # and with the hash of each picture
        'x265-params': 'log-level=none:bframes=0:scenecut=0:keyint=8:hash=1'}),
    'h265 with B-frames': Codec('libx265', 'hevc', 'hevc', {
        'preset': 'ultrafast', 'x265-params': 'log-level=none:bframes=2:scenecut=0:keyint=8'}),
    'av1': Codec('libsvtav1', 'libdav1d', 'av1', {'preset': '12',
                                                  'svtav1-params': 'pred-struct=1'}),
    'vp9': Codec('libvpx-vp9', 'vp9', 'vp9', {'deadline': 'realtime', 'lag-in-frames': '0'})}


class Part(NamedTuple):
    """A coded picture: which one (in the order of showing), whether a key frame, and its bytes."""

    picture: int
    key: bool
    data: bytes


@functools.cache
def coded(name: str) -> tuple[Part, ...]:
    """Encode moving pictures; return the parts in the order of decoding."""
    codec = CODECS[name]
    try:
        context: Any = av.CodecContext.create(codec.encoder, 'w')
    except ValueError:
        pytest.skip(f'this FFmpeg has no encoder {codec.encoder}')
    context.width, context.height, context.pix_fmt = 64, 64, 'yuv420p'
    context.time_base, context.framerate = fractions.Fraction(1, 20), 20
    context.gop_size, context.options = GROUP, codec.options
    parts = []
    for index, image in enumerate([*bags.pictures(COUNT, width=64, height=64), None]):
        frame = None if image is None else av.VideoFrame.from_ndarray(image, format='rgb24')
        if frame is not None:
            frame.pts = index
        parts += [Part(packet.pts, packet.is_keyframe, bytes(packet))
                  for packet in context.encode(frame)]
    assert sorted(part.picture for part in parts) == list(range(COUNT))
    return tuple(parts)


@functools.cache
def decoded(name: str) -> tuple[np.ndarray, ...]:
    """Decode the whole stream with PyAV alone; return the pictures in the order of showing."""
    context: Any = av.CodecContext.create(CODECS[name].decoder, 'r')
    frames = [frame for part in coded(name) for frame in context.decode(av.Packet(part.data))]
    pictures = [frame.to_ndarray(format='rgb24') for frame in frames + context.decode(None)]
    assert len(pictures) == COUNT
    return tuple(pictures)
