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
from typing import Mapping, Optional, Sequence

from lvs_ros.datasets.drive import DriveFrame
from lvs_ros.datasets.label_files import LabelFiles
from lvs_ros.datasets.listing import Listing
from lvs_ros.errors import DatasetError
from lvs_ros.labels import LabelSet, load_label_set

FRAME_RATE_HZ = 17
_IMAGE = '_leftImg8bit.png'
_NAME = re.compile(r'(?P<city>[^_]+)_(?P<recording>\d{6})_(?P<frame>\d{6})' + re.escape(_IMAGE))

_LABEL_FILES = ('_gtFine_labelTrainIds.png', '_gtFine_labelIds.png')

_Name = tuple[str, int, int]
"""City, recording and frame of an image."""


def list_cityscapes(root: pathlib.Path, split: str, label_set: Optional[LabelSet] = None
                    ) -> list[DriveFrame]:
    """List the frames of :func:`list_split`."""
    return list_split(root, split, label_set).frames


def list_split(root: pathlib.Path, split: str, label_set: Optional[LabelSet] = None) -> Listing:
    """List a split (``train``, ``val``) by sequence and time; nothing is decoded.

    A sequence is a run of consecutive frames, named after its first. Without
    ``leftImg8bit_sequence`` every labelled image is a sequence of its own; with it, the frames
    that are only there have no labels.

    :param label_set: whose classes are wanted; None = the 19 of Cityscapes. Another one must say
        which label ids are which class.
    :raises DatasetError: when a folder, or the label of an image of leftImg8bit, is missing.
    """
    root, official = pathlib.Path(root), load_label_set('cityscapes')
    label_set = label_set or official
    own = label_set.names != official.names
    if own and not label_set.file_ids:
        raise DatasetError(
            f'{root}: the label set {label_set.name!r} does not say which label ids of Cityscapes '
            'its classes are; expected ids in each of them, see docs/data.md')
    labelled = _images(root / 'leftImg8bit' / split)
    if not labelled:
        raise DatasetError(
            f'{root / "leftImg8bit" / split}: no such folder, or no CITY/*{_IMAGE} in it; '
            'expected the root of Cityscapes, which holds leftImg8bit and gtFine')
    every = {**_images(root / 'leftImg8bit_sequence' / split), **labelled}
    # Classes of one's own are given by label ids, which train ids no longer tell apart.
    endings = _LABEL_FILES[1:] if own else _LABEL_FILES
    label_paths = {name: _labels_of(path, root / 'gtFine' / split, endings)
                   for name, path in sorted(labelled.items())}
    files = LabelFiles(list(label_paths.values()), label_set)
    found: list[DriveFrame] = []
    sequence, following = '', ('', -1, -1)
    for name, path in sorted(every.items()):
        city, recording, frame = name
        if name != following:
            sequence = path.name.removesuffix(_IMAGE)
        found.append(DriveFrame(sequence, frame / FRAME_RATE_HZ, path, label_paths.get(name),
                                files if name in label_paths else None))
        following = city, recording, frame + 1
    return Listing(found, files)


def _images(folder: pathlib.Path) -> Mapping[_Name, pathlib.Path]:
    found = {}
    for path in folder.glob(f'*/*{_IMAGE}'):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise DatasetError(f'{path}: expected a name like aachen_000000_000019{_IMAGE} '
                               '(CITY_SEQUENCE_FRAME)')
        found[match['city'], int(match['recording']), int(match['frame'])] = path
    return found


def _labels_of(image_path: pathlib.Path, folder: pathlib.Path, endings: Sequence[str]
               ) -> pathlib.Path:
    stem = folder / image_path.parent.name / image_path.name.removesuffix(_IMAGE)
    for ending in endings:
        path = stem.with_name(stem.name + ending)
        if path.is_file():
            return path
    raise DatasetError(f'{stem}{endings[-1]}: missing'
                       + ''.join(f' (and no {stem.name}{one} either)' for one in endings[:-1])
                       + f', but {image_path} is there; unpack gtFine beside leftImg8bit')
