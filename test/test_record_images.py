# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs record-images``."""

import pathlib

import bags
import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from lvs_ros.recordings.message_types import COMPRESSED_IMAGE, IMAGE
from lvs_ros.tools.cli import main

# In the order of the alphabet, frame10 comes before frame9 and the PNG before both.
NAMES = ['frame1.jpg', 'frame9.jpg', 'frame10.JPG', 'frame11.png']


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / 'images'
    folder.mkdir()
    for name, image in zip(NAMES, bags.pictures(len(NAMES))):
        encoded = cv2.imencode(pathlib.Path(name).suffix.lower(), image[..., ::-1])[1]
        (folder / name).write_bytes(encoded.tobytes())
    (folder / 'notes.txt').write_text('no image', encoding='utf-8')
    return folder


def read(path: pathlib.Path) -> list:
    """Return (connection, log time, message) of everything in a recording."""
    with AnyReader([path]) as reader:
        return [(connection, log_time_ns, reader.deserialize(data, connection.msgtype))
                for connection, log_time_ns, data in reader.messages()]


def test_files_are_kept_as_they_are_in_natural_order(folder: pathlib.Path,
                                                     tmp_path: pathlib.Path) -> None:
    assert main(['record-images', str(folder), str(tmp_path / 'bag'), '--rate', '15']) == 0

    entries = read(tmp_path / 'bag')
    assert [message.data.tobytes() for _, _, message in entries] == [
        (folder / name).read_bytes() for name in NAMES]
    assert [message.format for _, _, message in entries] == ['jpeg', 'jpeg', 'jpeg', 'png']
    assert {(connection.topic, connection.msgtype) for connection, _, _ in entries} == {
        ('/image_raw/compressed', COMPRESSED_IMAGE)}
    # 15 Hz in whole nanoseconds, rounded from the start and not from image to image
    expected = [1_000_000_000, 1_066_666_667, 1_133_333_333, 1_200_000_000]
    assert [log_time_ns for _, log_time_ns, _ in entries] == expected
    stamps = [message.header.stamp for _, _, message in entries]
    assert [stamp.sec * bags.S + stamp.nanosec for stamp in stamps] == expected


def test_raw_images_hold_the_pixels(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert main(['record-images', str(folder), str(tmp_path / 'bag'), '--rate', '30000/1001',
                 '--raw', '--topic', '/front/image', '--frame-id', 'front', '--start-stamp',
                 '1700000000.5', '--storage', 'sqlite3']) == 0

    entries = read(tmp_path / 'bag')
    assert {(connection.topic, connection.msgtype) for connection, _, _ in entries} == {
        ('/front/image', IMAGE)}
    for (_, _, message), name in zip(entries, NAMES):
        assert (message.encoding, message.header.frame_id) == ('bgr8', 'front')
        pixels = message.data.reshape(message.height, message.width, 3)
        np.testing.assert_array_equal(pixels, cv2.imread(str(folder / name)))
    stamps = [message.header.stamp for _, _, message in entries]
    assert [(stamp.sec, stamp.nanosec) for stamp in stamps[:2]] == [
        (1_700_000_000, 500_000_000), (1_700_000_000, 533_366_667)]


def test_an_earlier_recording_is_not_overwritten(folder: pathlib.Path, tmp_path: pathlib.Path,
                                                 capsys: pytest.CaptureFixture) -> None:
    command = ['record-images', str(folder), str(tmp_path / 'bag')]
    assert main(command) == 0
    (folder / 'frame12.png').write_bytes((folder / 'frame11.png').read_bytes())

    assert main(command) == 2
    assert '--force' in capsys.readouterr().err
    assert len(read(tmp_path / 'bag')) == 4
    assert main([*command, '--force']) == 0
    assert len(read(tmp_path / 'bag')) == 5


def test_an_unreadable_image_is_named_and_nothing_is_left(
        folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    (folder / 'frame2.jpg').write_bytes(b'no image')

    assert main(['record-images', str(folder), str(tmp_path / 'bag')]) == 2

    assert 'frame2.jpg' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize('options, reason', [
    (['--rate', '0'], '--rate 0: expected a number above 0'),
    (['--start-stamp', '0'], '--start-stamp 0: expected a number above 0')])
def test_impossible_times_are_refused(options: list[str], reason: str, folder: pathlib.Path,
                                      capsys: pytest.CaptureFixture) -> None:
    assert main(['record-images', str(folder), str(folder / 'bag'), *options]) == 2
    assert reason in capsys.readouterr().err


def test_a_folder_without_images_is_an_error(tmp_path: pathlib.Path,
                                             capsys: pytest.CaptureFixture) -> None:
    assert main(['record-images', str(tmp_path), str(tmp_path / 'bag')]) == 2
    assert 'no images; expected files ending in .jpg' in capsys.readouterr().err
    assert main(['record-images', str(tmp_path / 'absent'), str(tmp_path / 'bag')]) == 2
    assert 'absent: no such folder' in capsys.readouterr().err
