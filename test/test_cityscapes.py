# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The reader of Cityscapes, on a tiny tree in its layout."""

import pathlib

import cv2
import numpy as np
import pytest

from lvs_ros.datasets.cityscapes import list_cityscapes
from lvs_ros.errors import DatasetError
from lvs_ros.labels import load_label_set

ROAD = np.full((4, 8), 7, np.uint8)

# The label ids as the annotation of Cityscapes numbers them, by the names of its 19 classes.
OFFICIAL = {
    'road': 7, 'sidewalk': 8, 'building': 11, 'wall': 12, 'fence': 13, 'pole': 17,
    'traffic light': 19, 'traffic sign': 20, 'vegetation': 21, 'terrain': 22, 'sky': 23,
    'person': 24, 'rider': 25, 'car': 26, 'truck': 27, 'bus': 28, 'train': 31,
    'motorcycle': 32, 'bicycle': 33}


def write_image(root: pathlib.Path, name: str, *, package: str = 'leftImg8bit',
                split: str = 'train', size: tuple[int, int] = (8, 4), red: int = 200) -> None:
    folder = root / package / split / name.split('_')[0]
    folder.mkdir(parents=True, exist_ok=True)
    image = np.zeros((size[1], size[0], 3), np.uint8)
    image[:, :, 2] = red    # red in OpenCV's order
    cv2.imwrite(str(folder / f'{name}_leftImg8bit.png'), image)


def write_labels(root: pathlib.Path, name: str, labels: np.ndarray, *, kind: str = 'labelIds',
                 split: str = 'train') -> None:
    folder = root / 'gtFine' / split / name.split('_')[0]
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / f'{name}_gtFine_{kind}.png'), labels)


def test_labelled_frames_alone_are_sequences_of_one(tmp_path: pathlib.Path) -> None:
    for name in ('bochum_000000_000313', 'aachen_000001_000019', 'aachen_000000_000019'):
        write_image(tmp_path, name)
        write_labels(tmp_path, name, ROAD)
    frames = list_cityscapes(tmp_path, 'train')
    assert [(frame.sequence, frame.time_s) for frame in frames] == [
        ('aachen_000000_000019', 19 / 17), ('aachen_000001_000019', 19 / 17),
        ('bochum_000000_000313', 313 / 17)]
    image, labels = frames[0].load()
    assert labels is not None and (labels == 0).all()
    assert image.shape == (4, 8, 3) and (image == [200, 0, 0]).all()


def test_a_snippet_has_one_labelled_frame(tmp_path: pathlib.Path) -> None:
    for number in range(100, 130):
        write_image(tmp_path, f'bochum_000000_{number:06d}', package='leftImg8bit_sequence')
    for number in range(300, 302):
        write_image(tmp_path, f'bochum_000000_{number:06d}', package='leftImg8bit_sequence')
    write_image(tmp_path, 'bochum_000000_000119')
    write_labels(tmp_path, 'bochum_000000_000119', ROAD)
    frames = list_cityscapes(tmp_path, 'train')
    assert len(frames) == 32
    assert {frame.sequence for frame in frames[:30]} == {'bochum_000000_000100'}
    assert {frame.sequence for frame in frames[30:]} == {'bochum_000000_000300'}
    np.testing.assert_allclose(np.diff([frame.time_s for frame in frames[:30]]), 1 / 17)
    assert [i for i, frame in enumerate(frames) if frame.load()[1] is not None] == [19]


def test_label_ids_become_the_ids_of_the_label_set(tmp_path: pathlib.Path) -> None:
    stored = np.arange(34, dtype=np.uint8).reshape(2, 17)
    write_image(tmp_path, 'aachen_000000_000019', size=(17, 2))
    write_labels(tmp_path, 'aachen_000000_000019', stored)
    labels = list_cityscapes(tmp_path, 'train')[0].load()[1]
    assert labels is not None
    found = dict(zip(stored.flatten().tolist(), labels.flatten().tolist()))
    names = load_label_set('cityscapes').names
    assert len(names) == len(OFFICIAL)
    assert {names[class_id]: byte for byte, class_id in found.items() if class_id != 255
            } == OFFICIAL


def test_train_ids_are_taken_where_they_are(tmp_path: pathlib.Path) -> None:
    write_image(tmp_path, 'aachen_000000_000019')
    write_labels(tmp_path, 'aachen_000000_000019', ROAD)
    train_ids = np.full((4, 8), 18, np.uint8)
    train_ids[0, 0] = 255
    write_labels(tmp_path, 'aachen_000000_000019', train_ids, kind='labelTrainIds')
    labels = list_cityscapes(tmp_path, 'train')[0].load()[1]
    assert labels is not None
    np.testing.assert_array_equal(labels, train_ids)


@pytest.mark.parametrize('kind, labels, reason', [
    ('labelIds', np.full((4, 8), 35, np.uint8), 'class id 35; expected a label id'),
    ('labelTrainIds', np.full((4, 8), 19, np.uint8), 'class id 19; expected a train id'),
    ('labelIds', np.full((4, 6), 7, np.uint8), '6x4 pixels, but the image'),
])
def test_labels_that_do_not_fit_are_refused(tmp_path: pathlib.Path, kind: str,
                                            labels: np.ndarray, reason: str) -> None:
    write_image(tmp_path, 'aachen_000000_000019')
    write_labels(tmp_path, 'aachen_000000_000019', labels, kind=kind)
    with pytest.raises(DatasetError, match=reason) as error:
        list_cityscapes(tmp_path, 'train')[0].load()
    assert f'aachen_000000_000019_gtFine_{kind}.png' in str(error.value)


def test_missing_pieces_are_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(DatasetError, match='leftImg8bit/train: no such folder'):
        list_cityscapes(tmp_path, 'train')
    write_image(tmp_path, 'aachen_000000_000019')
    with pytest.raises(DatasetError, match='aachen_000000_000019_gtFine_labelIds.png: missing'):
        list_cityscapes(tmp_path, 'train')
    write_image(tmp_path, 'aachen_19')
    with pytest.raises(DatasetError, match='aachen_19_leftImg8bit.png: expected a name like'):
        list_cityscapes(tmp_path, 'train')
