# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The reader of CamVid: order, ids, and what it refuses."""

import pathlib

import cv2
import numpy as np
import pytest

from lvs_ros.datasets.camvid import list_camvid
from lvs_ros.errors import DatasetError


def write(folder: pathlib.Path, name: str, labels: np.ndarray,
          size: tuple[int, int] = (6, 4)) -> None:
    for part in ('images', 'labels'):
        (folder / part).mkdir(exist_ok=True)
    image = np.zeros((size[1], size[0], 3), np.uint8)
    image[:, :, 2] = 200    # red in OpenCV's order
    cv2.imwrite(str(folder / 'images' / f'{name}.jpg'), image)
    cv2.imwrite(str(folder / 'labels' / f'{name}.png'), labels)


GOOD = np.full((4, 6), 3, np.uint8)


def test_frames_come_in_the_order_of_their_drives(tmp_path: pathlib.Path) -> None:
    for name in ('B_00100', 'A_f00060', 'B_00010', 'A_f00030'):
        write(tmp_path, name, GOOD)
    found = [(sample.sequence, sample.time_s) for sample in list_camvid(tmp_path)]
    assert found == [('A', 1.0), ('A', 2.0), ('B', 10 / 30), ('B', 100 / 30)]


def test_unlabelled_pixels_get_255_and_colours_are_rgb(tmp_path: pathlib.Path) -> None:
    labels = GOOD.copy()
    labels[0, 0] = 11
    write(tmp_path, 'A_00001', labels)
    image, loaded = list_camvid(tmp_path)[0].load()
    assert loaded is not None
    assert loaded[0, 0] == 255 and (loaded.flatten()[1:] == 3).all()
    assert image[0, 0, 0] > 150 and image[0, 0, 2] < 50


@pytest.mark.parametrize('labels, reason', [
    (np.full((4, 6), 12, np.uint8), 'class id 12'),
    (np.full((4, 5), 3, np.uint8), '5x4 pixels, but the image .*6x4'),
    (np.dstack([GOOD, GOOD, GOOD + 1]), r'colour \(4, 3, 3\) in 24 pixels'),
])
def test_labels_that_do_not_fit_are_refused(tmp_path: pathlib.Path, labels: np.ndarray,
                                            reason: str) -> None:
    write(tmp_path, 'A_00001', labels)
    with pytest.raises(DatasetError, match=reason) as error:
        list_camvid(tmp_path)[0].load()
    assert 'A_00001.png' in str(error.value)


def test_missing_pieces_are_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(DatasetError, match='images: no such folder'):
        list_camvid(tmp_path)
    write(tmp_path, 'A_00001', GOOD)
    (tmp_path / 'images' / 'broken_00002.jpg').write_bytes(b'no picture')
    with pytest.raises(DatasetError, match='broken_00002.png: missing'):
        list_camvid(tmp_path)
    cv2.imwrite(str(tmp_path / 'labels' / 'broken_00002.png'), GOOD)
    with pytest.raises(DatasetError, match='broken_00002.jpg: cannot be read'):
        list_camvid(tmp_path)[1].load()
    for path in (tmp_path / 'images').iterdir():
        path.unlink()
    with pytest.raises(DatasetError, match='no .jpg files'):
        list_camvid(tmp_path)


def test_the_real_val_drive_is_dense(camvid_dir: pathlib.Path) -> None:
    samples = list_camvid(camvid_dir / 'val')
    times = np.array([sample.time_s for sample in samples])
    assert len(samples) == 101
    np.testing.assert_allclose(np.diff(times), 1 / 15)
