# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs play``, over DDS."""

import pathlib
import re
import signal
import subprocess
import sys
from typing import Any, Iterator

import bags
from coded_streams import coded, decoded
import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from listener import TIMEOUT_S, Listener  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402

from lvs_ros.recordings.transport import with_stamp  # noqa: E402
from lvs_ros.tools.cli import main  # noqa: E402

COUNT = 8
PICTURES = bags.pictures(COUNT)
STAMPS = [1_600_000_000 * bags.S + i * 66_666_667 for i in range(COUNT)]
LOG_TIMES = [stamp_ns + 3_000_000 for stamp_ns in STAMPS]


@pytest.fixture
def listener(ros_domain: int) -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture
def raw_bag(tmp_path: pathlib.Path) -> pathlib.Path:
    return bags.write_rosbag2(tmp_path / 'raw', [
        bags.raw_entry('/camera/image_raw', image, stamp_ns, padding=5, log_time_ns=log_time_ns)
        for image, stamp_ns, log_time_ns in zip(PICTURES, STAMPS, LOG_TIMES)])


@pytest.fixture
def compressed_bag(tmp_path: pathlib.Path) -> pathlib.Path:
    return bags.write_rosbag2(tmp_path / 'compressed', [
        bags.compressed_entry('/camera/image_raw/compressed', bags.png(image), stamp_ns)
        for image, stamp_ns in zip(PICTURES, STAMPS)], storage='sqlite3')


def stamp_of(message: Any) -> int:
    return message.header.stamp.sec * bags.S + message.header.stamp.nanosec


def play(bag: pathlib.Path, *options: str) -> int:
    return main(['play', str(bag), '--rate', '5', '--wait-timeout', str(TIMEOUT_S), *options])


@pytest.mark.parametrize('reliability', ['reliable', 'best_effort'])
def test_every_image_arrives_as_it_was_recorded(
        reliability: str, listener: Listener, raw_bag: pathlib.Path,
        capsys: pytest.CaptureFixture) -> None:
    listener.subscribe(Image, '/camera/image_raw', reliable=reliability == 'reliable')

    assert play(raw_bag, '--reliability', reliability) == 0

    messages = listener.wait_for('/camera/image_raw', COUNT)
    assert [stamp_of(message) for message in messages] == STAMPS
    assert {message.header.frame_id for message in messages} == {'front'}
    for message, picture in zip(messages, PICTURES):
        assert (message.encoding, message.step) == ('rgb8', 3 * 65 + 5)
        rows = np.frombuffer(message.data, np.uint8).reshape(49, message.step)
        np.testing.assert_array_equal(rows[:, :3 * 65].reshape(49, 65, 3), picture)
    assert f'published {COUNT} images' in capsys.readouterr().out


def test_compressed_images_arrive_byte_for_byte(listener: Listener,
                                                compressed_bag: pathlib.Path) -> None:
    listener.subscribe(CompressedImage, '/camera/image_raw/compressed')

    assert play(compressed_bag) == 0

    messages = listener.wait_for('/camera/image_raw/compressed', COUNT)
    assert [stamp_of(message) for message in messages] == STAMPS
    assert [bytes(message.data) for message in messages] == [bags.png(p) for p in PICTURES]
    assert {message.format for message in messages} == {'png'}


def test_a_compressed_recording_can_be_played_raw(listener: Listener,
                                                  compressed_bag: pathlib.Path) -> None:
    listener.subscribe(Image, '/camera/image_raw')

    assert play(compressed_bag, '--transport', 'raw') == 0

    messages = listener.wait_for('/camera/image_raw', COUNT)
    assert [stamp_of(message) for message in messages] == STAMPS
    for message, picture in zip(messages, PICTURES):
        assert (message.encoding, message.header.frame_id) == ('bgr8', 'front')
        pixels = np.frombuffer(message.data, np.uint8).reshape(49, 65, 3)
        np.testing.assert_array_equal(pixels, picture[..., ::-1])


@pytest.mark.parametrize('kind', [bags.COMPRESSED, bags.PACKET])
def test_a_coded_video_is_played_as_raw_images(kind: str, listener: Listener,
                                               tmp_path: pathlib.Path,
                                               capsys: pytest.CaptureFixture) -> None:
    suffix = 'compressed' if kind == bags.COMPRESSED else 'ffmpeg'
    bag = bags.write_rosbag2(tmp_path / 'coded', [
        bags.video_entry(kind, f'/camera/image_raw/{suffix}', part.data, stamp_ns, format='h264')
        for part, stamp_ns in zip(coded('h264'), STAMPS)])
    listener.subscribe(Image, '/camera/image_raw')

    assert play(bag) == 0

    messages = listener.wait_for('/camera/image_raw', COUNT)
    assert [stamp_of(message) for message in messages] == STAMPS
    for message, picture in zip(messages, decoded('h264')):
        pixels = np.frombuffer(message.data, np.uint8).reshape(64, 64, 3)
        np.testing.assert_array_equal(pixels, picture)
    assert 'is h264 video: it is decoded, and sent as raw images' in capsys.readouterr().out


def test_a_raw_recording_can_be_played_compressed_elsewhere(listener: Listener,
                                                            raw_bag: pathlib.Path) -> None:
    listener.subscribe(CompressedImage, '/rear/compressed')

    assert play(raw_bag, '--transport', 'compressed', '--to', '/rear/compressed') == 0

    messages = listener.wait_for('/rear/compressed', COUNT)
    assert [stamp_of(message) for message in messages] == STAMPS
    for message, picture in zip(messages, PICTURES):
        decoded = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)
        assert decoded is not None
        difference = decoded[..., ::-1].astype(float) - picture
        assert np.abs(difference).mean() < 8  # JPEG; swapped channels would differ far more
        assert np.abs(decoded.astype(float) - picture).mean() > 20


def test_a_ros1_bag_can_be_played(listener: Listener, tmp_path: pathlib.Path) -> None:
    bag = bags.write_rosbag1(tmp_path / 'drive.bag', [
        bags.raw_entry('/image', image, stamp_ns) for image, stamp_ns in zip(PICTURES, STAMPS)])
    listener.subscribe(Image, '/image')

    assert play(bag) == 0

    messages = listener.wait_for('/image', COUNT)
    assert [stamp_of(message) for message in messages] == STAMPS
    assert [bytes(message.data) for message in messages] == [p.tobytes() for p in PICTURES]


def test_stamps_can_be_those_of_publishing(listener: Listener, raw_bag: pathlib.Path) -> None:
    listener.subscribe(Image, '/camera/image_raw')
    before_ns = listener.now_ns()

    assert play(raw_bag, '--stamp', 'now') == 0

    messages = listener.wait_for('/camera/image_raw', COUNT)
    after_ns = listener.now_ns()
    stamps = [stamp_of(message) for message in messages]
    assert stamps == sorted(stamps)
    assert before_ns < stamps[0] and stamps[-1] < after_ns
    assert {message.header.frame_id for message in messages} == {'front'}


def test_a_stamp_is_set_in_either_byte_order() -> None:
    little = with_stamp(b'\0\1\0\0' + bytes(8) + b'rest', 3 * bags.S + 4)
    big = with_stamp(b'\0\0\0\0' + bytes(8) + b'rest', 3 * bags.S + 4)

    assert little == b'\0\1\0\0\3\0\0\0\4\0\0\0rest'
    assert big == b'\0\0\0\0\0\0\0\3\0\0\0\4rest'


def test_the_time_of_the_recording_is_published_as_clock(listener: Listener,
                                                         raw_bag: pathlib.Path) -> None:
    listener.subscribe(Image, '/camera/image_raw')
    listener.subscribe(Clock, '/clock')

    assert play(raw_bag, '--clock') == 0

    listener.wait_for('/camera/image_raw', COUNT)
    messages = listener.wait_for('/clock', COUNT)
    times = [message.clock.sec * bags.S + message.clock.nanosec for message in messages]
    assert times == sorted(times)
    assert LOG_TIMES[0] <= times[0] and times[-1] <= LOG_TIMES[-1]


@pytest.mark.parametrize('transport', ['raw', 'recorded'])
def test_malformed_images_are_left_out(
        transport: str, listener: Listener, tmp_path: pathlib.Path,
        capsys: pytest.CaptureFixture) -> None:
    entries = [bags.compressed_entry('/image/compressed', bags.png(image), stamp_ns)
               for image, stamp_ns in zip(PICTURES, STAMPS)]
    if transport == 'raw':  # a message, but what is in it cannot be decoded
        entries[2] = bags.compressed_entry('/image/compressed', b'no image', STAMPS[2])
    else:
        entries[2] = bags.Entry('/image/compressed', bags.COMPRESSED, STAMPS[2], {}, raw=b'?')
    bag = bags.write_rosbag2(tmp_path / 'bag', entries)
    topic, kind = ('/image', Image) if transport == 'raw' else (
        '/image/compressed', CompressedImage)
    listener.subscribe(kind, topic)

    assert play(bag, '--transport', transport) == 0

    messages = listener.wait_for(topic, COUNT - 1)
    assert [stamp_of(message) for message in messages] == STAMPS[:2] + STAMPS[3:]
    assert '1 malformed images were left out; the first is number 2' in capsys.readouterr().out


def test_it_says_that_nobody_listens(ros_domain: int, raw_bag: pathlib.Path,
                                     capsys: pytest.CaptureFixture) -> None:
    assert main(['play', str(raw_bag), '--wait-timeout', '0.1']) == 2

    captured = capsys.readouterr()
    assert 'waiting for a subscriber' in captured.out
    assert 'no subscriber on /camera/image_raw within 0.1 s' in captured.err


@pytest.mark.parametrize('options', [['--rate', '0'], ['--rate', 'nan'], ['--clock', '-1'],
                                     ['--stamp', 'now', '--clock']])
def test_impossible_options_are_refused(options: list[str], raw_bag: pathlib.Path,
                                        capsys: pytest.CaptureFixture) -> None:
    assert main(['play', str(raw_bag), *options]) == 2
    assert options[-1].lstrip('-') in capsys.readouterr().err


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_loop_ends_cleanly_when_asked(number: signal.Signals, listener: Listener,
                                        raw_bag: pathlib.Path) -> None:
    listener.subscribe(Image, '/camera/image_raw')
    process = subprocess.Popen(
        [sys.executable, '-m', 'lvs_ros.tools.cli', 'play', str(raw_bag), '--loop', '--rate', '5'],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        messages = listener.wait_for('/camera/image_raw', 2 * COUNT + 1)
        process.send_signal(number)
        output, errors = process.communicate(timeout=TIMEOUT_S)
    finally:
        process.kill()
        process.wait()

    assert [stamp_of(message) for message in messages[:2 * COUNT + 1]] == [
        *STAMPS, *STAMPS, STAMPS[0]]
    assert process.returncode == 0
    assert errors == ''
    published = re.search(r'published (\d+) images', output)
    assert published and int(published[1]) >= 2 * COUNT + 1
