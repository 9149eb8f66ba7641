# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Coded video in recordings gives the pictures that PyAV decodes from the same stream."""

import fractions
import functools
import json
import pathlib
import struct
from typing import Any, NamedTuple

import av
import bags
import numpy as np
import pytest
import torch

from lvs_ros.datasets.footage import open_footage
from lvs_ros.errors import ImageError
from lvs_ros.model import SegmentationNetwork, save_network
from lvs_ros.model.config import tiny
from lvs_ros.pipeline.encodings import decode_compressed, video_codec
from lvs_ros.recordings.message_types import IMAGE
from lvs_ros.recordings.recording import Recording
from lvs_ros.recordings.transport import sent_topic, serialize
from lvs_ros.tools.cli import main

COUNT, GROUP = 20, 8
TOPIC = '/camera/image_raw'
START_NS = 1_600_000_000 * bags.S
PERIOD_NS = 50_000_000
KINDS = [bags.COMPRESSED, bags.VIDEO, bags.PACKET]


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


def stamp_ns(picture: int) -> int:
    return START_NS + picture * PERIOD_NS


def recorded(path: pathlib.Path, name: str, parts: list[Part], *, kind: str = bags.VIDEO,
             write: str = 'rosbag2') -> pathlib.Path:
    entries = [bags.video_entry(kind, TOPIC, part.data, stamp_ns(part.picture),
                                format=CODECS[name].format,
                                log_time_ns=START_NS + index * PERIOD_NS)
               for index, part in enumerate(parts)]
    if write == 'rosbag1':
        return bags.write_rosbag1(path / 'drive.bag', entries)
    return bags.write_rosbag2(path / 'drive', entries)


class Read(NamedTuple):
    """What came of a recording: pictures by their stamps, in order, and errors."""

    pictures: dict[int, np.ndarray]
    errors: list[str]


def read(path: pathlib.Path, topic: str | None = None) -> Read:
    pictures: dict[int, np.ndarray] = {}
    errors = []
    with Recording(path) as recording:
        for message in recording.images(recording.image_topic(topic)):
            try:
                frame, frame_id = message.decode()
            except ImageError as error:
                errors.append(str(error))
                continue
            assert (frame.order, frame_id) == ('rgb', 'front')
            pictures[(frame.stamp_ns - START_NS) // PERIOD_NS] = frame.image
    return Read(pictures, errors)


def check(found: Read, name: str, expected: list[int]) -> None:
    """Each picture has its stamp, and they come in the order of showing."""
    assert list(found.pictures) == expected
    for picture, image in found.pictures.items():
        np.testing.assert_array_equal(image, decoded(name)[picture])


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('name', ['h264', 'h264 with B-frames', 'h265', 'h265 with B-frames'])
def test_a_recorded_video_gives_its_pictures(name: str, kind: str, tmp_path: pathlib.Path
                                             ) -> None:
    found = read(recorded(tmp_path, name, list(coded(name)), kind=kind))

    check(found, name, list(range(COUNT)))
    assert not found.errors


@pytest.mark.parametrize('name', ['av1', 'vp9'])
def test_so_do_other_codecs(name: str, tmp_path: pathlib.Path) -> None:
    check(read(recorded(tmp_path, name, list(coded(name)))), name, list(range(COUNT)))


@pytest.mark.parametrize('kind', KINDS)
def test_so_does_a_ros1_bag(kind: str, tmp_path: pathlib.Path) -> None:
    path = recorded(tmp_path, 'h264', list(coded('h264')), kind=kind, write='rosbag1')

    check(read(path), 'h264', list(range(COUNT)))


@pytest.mark.parametrize('name', list(CODECS))
def test_a_stream_is_decoded_from_its_first_key_frame_on(name: str, tmp_path: pathlib.Path
                                                         ) -> None:
    parts = list(coded(name))[3:]
    key = next(index for index, part in enumerate(parts) if part.key)
    first = parts[key].picture

    found = read(recorded(tmp_path, name, parts))

    check(found, name, list(range(first, COUNT)))
    assert len(found.errors) == len(parts) - (COUNT - first)
    assert 'no key frame has come yet' in found.errors[0]


@pytest.mark.parametrize('name, damage', [
    ('h264', 'hole'), ('h264', 'garbage'), ('h264', 'nothing'), ('h265', 'hole'),
    ('h264 with B-frames', 'garbage'), ('h265 with B-frames', 'nothing')])
def test_after_a_damaged_message_nothing_is_shown_before_the_next_key_frame(
        name: str, damage: str, tmp_path: pathlib.Path) -> None:
    parts = list(coded(name))
    where = next(index for index, part in enumerate(parts) if part.key and index) + 2
    data = parts[where].data
    assert not parts[where].key
    if damage == 'hole':
        data = data[:len(data) // 4] + data[len(data) // 2:]
    else:
        data = data[:6] + bytes(range(1, 200)) if damage == 'garbage' else b''
    parts[where] = parts[where]._replace(data=data)
    key_after = next(part.picture for part in parts[where:] if part.key)

    found = read(recorded(tmp_path, name, parts))

    before = [part.picture for part in parts[:where]]
    check(found, name, sorted(before) + list(range(key_after, COUNT)))
    assert len(found.errors) == COUNT - len(found.pictures)
    assert 'damaged' in found.errors[0]


def test_parameters_in_a_message_of_their_own_are_no_lost_picture(tmp_path: pathlib.Path) -> None:
    first, *others = coded('h264')
    slice_at = first.data.index(b'\0\0\1\x65')    # an IDR slice
    parts = [first._replace(data=first.data[:slice_at]),
             first._replace(data=first.data[slice_at:]), *others]

    found = read(recorded(tmp_path, 'h264', parts))

    check(found, 'h264', list(range(COUNT)))
    assert not found.errors


def test_parameters_that_came_once_serve_after_damage(tmp_path: pathlib.Path) -> None:
    def without_parameters(data: bytes) -> bytes:
        return data[data.index(b'\0\0\1\x65'):]    # an IDR slice
    parts = [part._replace(data=without_parameters(part.data)) if part.key and index else part
             for index, part in enumerate(coded('h264'))]
    assert len(parts[GROUP].data) < len(coded('h264')[GROUP].data)
    parts[3] = parts[3]._replace(data=b'')

    found = read(recorded(tmp_path, 'h264', parts))

    check(found, 'h264', [0, 1, 2, *range(GROUP, COUNT)])


def test_newer_fields_of_a_compressed_video_are_skipped(tmp_path: pathlib.Path) -> None:
    part = coded('h264')[0]
    entry = bags.video_entry(bags.VIDEO, TOPIC, part.data, START_NS, format='h264')
    uuid = b'a8098c1a\0'
    raw = bags.serialized(entry)
    raw += bytes(-len(raw) % 4) + struct.pack('<I', len(uuid)) + uuid
    path = bags.write_rosbag2(tmp_path / 'drive', [bags.Entry(TOPIC, bags.VIDEO, 9, {}, raw=raw)])

    check(read(path), 'h264', [0])


def test_a_malformed_message_does_not_hide_the_next_key_frame(tmp_path: pathlib.Path) -> None:
    parts = coded('h264')
    entries = [bags.video_entry(bags.PACKET, TOPIC, part.data, stamp_ns(part.picture),
                                format='h264') for part in parts]
    entries[GROUP - 1] = bags.Entry(TOPIC, bags.PACKET, entries[GROUP - 1].log_time_ns, {},
                                    raw=b'\0\1\0\0\1\2\3')
    found = read(bags.write_rosbag2(tmp_path / 'drive', entries))

    check(found, 'h264', [*range(GROUP - 1), *range(GROUP, COUNT)])
    assert 'is no ffmpeg_image_transport_msgs/msg/FFMPEGPacket' in found.errors[0]


def test_an_unknown_codec_is_named(tmp_path: pathlib.Path) -> None:
    path = bags.write_rosbag2(tmp_path / 'drive', [
        bags.video_entry(bags.VIDEO, TOPIC, b'123', START_NS, format='theora')])

    found = read(path)

    assert not found.pictures
    assert "format 'theora'" in found.errors[0] and 'expected h264, h265' in found.errors[0]


def test_pictures_beyond_the_limit_are_refused(tmp_path: pathlib.Path) -> None:
    with Recording(recorded(tmp_path, 'h264', list(coded('h264'))[:1])) as recording:
        message, = recording.images(recording.image_topic())

    assert message.decode(64 * 64)[0].size == (64, 64)
    with pytest.raises(ImageError, match='64x64 pixels: more than max_pixels'):
        message.decode(64 * 64 - 1)


def test_log_times_do_not_go_back_where_pictures_are_reordered(tmp_path: pathlib.Path) -> None:
    name = 'h264 with B-frames'
    with Recording(recorded(tmp_path, name, list(coded(name)))) as recording:
        times = [message.log_time_ns for message in recording.images(recording.image_topic())]

    assert times == sorted(times)


def test_a_video_is_played_as_raw_images(tmp_path: pathlib.Path) -> None:
    with Recording(recorded(tmp_path, 'h265', list(coded('h265')))) as recording:
        topic = recording.image_topic()
        assert recording.video_codec(topic) == 'hevc'
        sent: list[Any] = [bags.ROS2.deserialize_cdr(serialize(message, 'recorded'), IMAGE)
                           for message in recording.images(topic)]

    assert [one.header.stamp.nanosec for one in sent] == [
        stamp_ns(picture) % bags.S for picture in range(COUNT)]
    for one, picture in zip(sent, decoded('h265'), strict=True):
        np.testing.assert_array_equal(one.data.reshape(one.height, one.step // 3, 3), picture)


@pytest.mark.parametrize('topic', ['/a/image_raw/ffmpeg', '/a/image_raw/foxglove'])
def test_raw_images_of_a_video_have_the_raw_topic(topic: str) -> None:
    assert sent_topic(topic, bags.PACKET, 'recorded') == '/a/image_raw'
    assert sent_topic(topic, bags.PACKET, 'compressed') == '/a/image_raw/compressed'


def test_footage_of_a_video_has_the_chosen_pictures(tmp_path: pathlib.Path) -> None:
    footage = open_footage(recorded(tmp_path, 'h264', list(coded('h264'))))

    frames = list(footage.frames({2, 11}))

    assert len(footage) == COUNT
    assert [round((frame.time_s - START_NS / 1e9) * 20) for frame in frames] == [2, 11]
    np.testing.assert_array_equal(frames[1].image, decoded('h264')[11])


@pytest.mark.parametrize('format, codec', [
    ('h264', 'h264'), ('H.264', 'h264'), ('libx264', 'h264'), ('h264_nvenc', 'h264'),
    ('h265', 'hevc'), ('hevc;yuv420p;bgr8;bgr8', 'hevc'), ('rgb8; h265 compressed', 'hevc'),
    ('libsvtav1', 'av1'), ('vp9', 'vp9'), ('jpeg', None), ('rgb8; jpeg compressed bgr8', None),
    ('png', None), ('16UC1; compressedDepth png', None), ('', None)])
def test_formats_of_videos_are_told_from_those_of_pictures(format: str, codec: str | None) -> None:
    assert video_codec(format) == codec


@pytest.mark.parametrize('format', ['h264', 'h265', 'hevc', 'av1'])
def test_a_single_part_is_refused_with_the_way_out(format: str) -> None:
    with pytest.raises(ImageError, match=rf"(?s)'{format}'.*ros2 run image_transport republish"):
        decode_compressed(coded('h264')[0].data, format)


def test_replay_gives_the_masks_of_the_decoded_pictures(tmp_path: pathlib.Path) -> None:
    torch.manual_seed(3)
    model = tmp_path / 'tiny.safetensors'
    save_network(SegmentationNetwork(tiny('camvid', 11)), model)
    name = 'h264 with B-frames'
    first = 2    # messages are missing
    parts = list(coded(name))[first:]
    key = next(part.picture for part in parts if part.key)
    video = recorded(tmp_path, name, parts)
    raw = bags.write_rosbag2(tmp_path / 'raw', [
        bags.raw_entry(TOPIC, image, stamp_ns(picture))
        for picture, image in enumerate(decoded(name)) if picture >= key])

    for bag, out in ((video, 'of_video'), (raw, 'of_raw')):
        assert main(['replay', str(bag), '--out', str(tmp_path / out), '--model', str(model),
                     '--copy-images', '--topic', TOPIC]) == 0

    masks = {}
    for out in ('of_video', 'of_raw'):
        with Recording(tmp_path / out / 'recording') as recording:
            masks[out] = [message.decode() for message in recording.messages(
                recording.image_topic('/lvs/mask'))]
        assert [frame.stamp_ns for frame, _ in masks[out]] == [
            stamp_ns(picture) for picture in range(key, COUNT)]
    for (frame, _), (expected, _) in zip(masks['of_video'], masks['of_raw'], strict=True):
        np.testing.assert_array_equal(frame.image, expected.image)
    check(read(tmp_path / 'of_video' / 'recording', TOPIC), name, list(range(key, COUNT)))
    dropped = json.loads((tmp_path / 'of_video' / 'summary.json').read_text())['dropped']
    assert len(dropped) == len(parts) - (COUNT - key)


def test_replay_of_a_video_without_a_key_frame_says_so(
        tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / 'tiny.safetensors'
    save_network(SegmentationNetwork(tiny('camvid', 11)), model)
    path = recorded(tmp_path, 'h264', list(coded('h264'))[1:GROUP])

    assert main(['replay', str(path), '--out', str(tmp_path / 'out'), '--model', str(model)]) == 2
    assert 'no key frame has come yet' in capsys.readouterr().err
