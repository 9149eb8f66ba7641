# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Cityscapes in its own layout.

Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016::

    leftImg8bit/SPLIT/CITY/CITY_SSSSSS_FFFFFF_leftImg8bit.png              labelled images
    gtFine/SPLIT/CITY/CITY_SSSSSS_FFFFFF_gtFine_labelTrainIds.png          their labels, or
    gtFine/SPLIT/CITY/CITY_SSSSSS_FFFFFF_gtFine_labelIds.png               as they are shipped
    leftImg8bit_sequence/SPLIT/CITY/CITY_SSSSSS_FFFFFF_leftImg8bit.png     (optional) video:
        30 frames at 17 Hz around each labelled image, which is the 20th of them
"""

import pathlib
import re
from typing import Mapping

from lvs_ros.datasets.drive import DriveFrame, LabelIds
from lvs_ros.errors import DatasetError
from lvs_ros.labels import UNLABELLED

CLASSES = 19
FRAME_RATE_HZ = 17
_IMAGE = '_leftImg8bit.png'
_NAME = re.compile(r'(?P<city>[^_]+)_(?P<recording>\d{6})_(?P<frame>\d{6})' + re.escape(_IMAGE))

TRAIN_ID_OF_LABEL_ID = {
    7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12,
    26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18}
"""The 19 classes that are evaluated (cityscapesscripts, labels.py); no other counts."""

_LABEL_FILES: tuple[tuple[str, LabelIds], ...] = (
    ('_gtFine_labelTrainIds.png', LabelIds(
        {**{class_id: class_id for class_id in range(CLASSES)}, UNLABELLED: UNLABELLED},
        f'a train id of Cityscapes, 0 to {CLASSES - 1}, or {UNLABELLED}')),
    ('_gtFine_labelIds.png', LabelIds(
        {label_id: TRAIN_ID_OF_LABEL_ID.get(label_id, UNLABELLED) for label_id in range(34)},
        'a label id of Cityscapes, 0 to 33')))


_Name = tuple[str, int, int]
"""City, recording and frame of an image."""


def list_cityscapes(root: pathlib.Path, split: str) -> list[DriveFrame]:
    """List a split (``train``, ``val``) by sequence and time.

    A sequence is a run of consecutive frames, named after its first. Without
    ``leftImg8bit_sequence`` every labelled image is a sequence of its own; with it, the frames
    that are only there have no labels.

    :raises DatasetError: when a folder, or the label of an image of leftImg8bit, is missing.
    """
    root = pathlib.Path(root)
    labelled = _images(root / 'leftImg8bit' / split)
    if not labelled:
        raise DatasetError(
            f'{root / "leftImg8bit" / split}: no such folder, or no CITY/*{_IMAGE} in it; '
            'expected the root of Cityscapes, which holds leftImg8bit and gtFine')
    every = {**_images(root / 'leftImg8bit_sequence' / split), **labelled}
    found: list[DriveFrame] = []
    sequence, following = '', ('', -1, -1)
    for name, path in sorted(every.items()):
        city, recording, frame = name
        if name != following:
            sequence = path.name.removesuffix(_IMAGE)
        label_path, label_ids = (
            _labels_of(path, root / 'gtFine' / split) if name in labelled else (None, None))
        found.append(DriveFrame(sequence, frame / FRAME_RATE_HZ, path, label_path, label_ids))
        following = city, recording, frame + 1
    return found


def _images(folder: pathlib.Path) -> Mapping[_Name, pathlib.Path]:
    found = {}
    for path in folder.glob(f'*/*{_IMAGE}'):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise DatasetError(f'{path}: expected a name like aachen_000000_000019{_IMAGE} '
                               '(CITY_SEQUENCE_FRAME)')
        found[match['city'], int(match['recording']), int(match['frame'])] = path
    return found


def _labels_of(image_path: pathlib.Path, folder: pathlib.Path) -> tuple[pathlib.Path, LabelIds]:
    stem = folder / image_path.parent.name / image_path.name.removesuffix(_IMAGE)
    for ending, label_ids in _LABEL_FILES:
        path = stem.with_name(stem.name + ending)
        if path.is_file():
            return path, label_ids
    shipped = stem.with_name(stem.name + _LABEL_FILES[-1][0])
    raise DatasetError(f'{shipped}: missing (and no {stem.name}{_LABEL_FILES[0][0]} either), but '
                       f'{image_path} is there; unpack gtFine beside leftImg8bit')
