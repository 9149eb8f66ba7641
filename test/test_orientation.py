# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Files that say how they are to be turned are, alike for images and labels; messages are not."""

import pathlib

import av
import bags
import cv2
import numpy as np
from PIL import Image, ImageOps
import pytest

from lvs_ros.datasets.drive import DriveFrame
from lvs_ros.datasets.footage import open_footage
from lvs_ros.datasets.label_files import LabelFiles
from lvs_ros.errors import DatasetError
from lvs_ros.labels import LabelSet
from lvs_ros.recordings.recording import Recording
from lvs_ros.tools.cli import main

SIDEWAYS = (5, 6, 7, 8)
PICTURE = bags.pictures(1, width=65, height=49)[0]
LABELS = cv2.resize(PICTURE[..., 0] // 32, (65, 49), interpolation=cv2.INTER_NEAREST)
EIGHT = LabelSet('eight', tuple('abcdefgh'), tuple((0, 0, value) for value in range(8)))


def exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = orientation
    return found


def saved(path: pathlib.Path, image: np.ndarray, orientation: int = 0) -> pathlib.Path:
    Image.fromarray(image).save(path, exif=exif(orientation) if orientation else None)
    return path


def shown(path: pathlib.Path) -> np.ndarray:
    """Turn a picture with Pillow's own function for that."""
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image))


def load(image: pathlib.Path, labels: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    files = LabelFiles([labels], EIGHT)
    image_array, label_array = DriveFrame('a', 0.0, image, labels, files).load()
    assert label_array is not None
    return image_array, label_array


@pytest.mark.parametrize('orientation', range(1, 9))
def test_a_picture_of_a_folder_is_turned_as_pillow_turns_it(orientation: int,
                                                            tmp_path: pathlib.Path) -> None:
    path = saved(tmp_path / '1.png', PICTURE, orientation)

    frame, = open_footage(tmp_path).frames({0})

    np.testing.assert_array_equal(frame.image, shown(path))


def test_so_is_a_jpeg(tmp_path: pathlib.Path) -> None:
    path = saved(tmp_path / '1.jpg', PICTURE, 6)

    frame, = open_footage(tmp_path).frames({0})

    assert frame.image.shape == (65, 49, 3)
    assert np.abs(frame.image.astype(int) - shown(path)).max() <= 3    # two decoders


@pytest.mark.parametrize('orientation', SIDEWAYS)
def test_labels_of_the_stored_image_are_turned_with_it(orientation: int,
                                                       tmp_path: pathlib.Path) -> None:
    image = saved(tmp_path / 'image.png', PICTURE, orientation)

    found = load(image, saved(tmp_path / 'labels.png', LABELS))

    np.testing.assert_array_equal(found[0], shown(image))
    np.testing.assert_array_equal(
        found[1], shown(saved(tmp_path / 'tagged.png', LABELS, orientation)))


def test_labels_of_the_turned_image_stay_as_they_are(tmp_path: pathlib.Path) -> None:
    image = saved(tmp_path / 'image.png', PICTURE, 6)
    labels = np.ascontiguousarray(LABELS.T)

    found = load(image, saved(tmp_path / 'labels.png', labels))

    np.testing.assert_array_equal(found[1], labels)


@pytest.mark.parametrize('orientation', [2, 3, 4, 6])
def test_labels_with_an_orientation_of_their_own_are_turned_by_it(
        orientation: int, tmp_path: pathlib.Path) -> None:
    image = saved(tmp_path / 'image.png', PICTURE, orientation)
    labels = saved(tmp_path / 'labels.png', LABELS, orientation)

    np.testing.assert_array_equal(load(image, labels)[1], shown(labels))


@pytest.mark.parametrize('orientation', [2, 3, 4])
def test_labels_that_could_be_either_are_an_error(orientation: int,
                                                  tmp_path: pathlib.Path) -> None:
    image = saved(tmp_path / 'image.png', PICTURE, orientation)

    with pytest.raises(DatasetError, match=rf'as stored or as shown.*orientation {orientation}'):
        load(image, saved(tmp_path / 'labels.png', LABELS))


def test_labels_that_fit_neither_are_an_error(tmp_path: pathlib.Path) -> None:
    image = saved(tmp_path / 'image.png', PICTURE, 6)

    with pytest.raises(DatasetError, match='64x49 pixels, but the image .* has 49x65'):
        load(image, saved(tmp_path / 'labels.png', LABELS[:, 1:].copy()))


def video(path: pathlib.Path, degrees: float, **flips: bool) -> pathlib.Path:
    """Write a video that is to be turned, counterclockwise."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mpeg4', rate=15)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        stream.set_display_rotation(degrees, **flips)
        for image in bags.pictures(3, width=64, height=48):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
        container.mux(stream.encode(None))
    return path


def stored_frames(path: pathlib.Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)]


@pytest.mark.parametrize('degrees', [0, 90, 180, 270])
def test_a_video_is_turned_by_its_display_matrix(degrees: int, tmp_path: pathlib.Path) -> None:
    path = video(tmp_path / 'drive.mp4', degrees)
    assert stored_frames(path)[1].shape == (48, 64, 3)

    frames = list(open_footage(path).frames(range(3)))

    for frame, stored in zip(frames, stored_frames(path), strict=True):
        np.testing.assert_array_equal(frame.image, np.rot90(stored, degrees // 90))


def test_a_mirrored_video_is_mirrored(tmp_path: pathlib.Path) -> None:
    path = video(tmp_path / 'drive.mp4', 0, hflip=True)

    frame, = open_footage(path).frames({0})

    np.testing.assert_array_equal(frame.image, stored_frames(path)[0][:, ::-1])


def test_a_video_turned_by_less_than_a_quarter_is_an_error(tmp_path: pathlib.Path) -> None:
    path = video(tmp_path / 'drive.mp4', 10)

    with pytest.raises(DatasetError, match='drive.mp4.*other than quarters'):
        list(open_footage(path).frames({0}))


def test_a_recorded_picture_is_never_turned(tmp_path: pathlib.Path) -> None:
    data = saved(tmp_path / '1.png', PICTURE, 6).read_bytes()
    path = bags.write_rosbag2(tmp_path / 'drive', [
        bags.compressed_entry('/image_raw/compressed', data, 1)])

    frame, = open_footage(path).frames({0})

    np.testing.assert_array_equal(frame.image, PICTURE)


@pytest.mark.parametrize('option', ['--topic=/a', '--raw'])
def test_a_recording_made_of_files_shows_them_as_they_are_to_be_shown(
        option: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / 'frames').mkdir()
    path = saved(tmp_path / 'frames' / '1.png', PICTURE, 8)

    assert main(['record-images', str(path.parent), str(tmp_path / 'bag'), option]) == 0

    with Recording(tmp_path / 'bag') as recording:
        message, = recording.images(recording.image_topic())
    np.testing.assert_array_equal(message.decode()[0].image[..., ::-1], shown(path))
