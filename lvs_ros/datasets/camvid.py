# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""CamVid in the layout of the SegNet split: ``images/NAME.jpg`` and ``labels/NAME.png``.

Brostow, Fauqueur, Cipolla, "Semantic object classes in video", Pattern Recognition Letters 2009.
NAME is ``SEQUENCE_FRAME``; frame / 30 is the time in seconds within its sequence.
"""

import pathlib
import re

from lvs_ros.datasets.drive import DriveFrame, LabelIds
from lvs_ros.errors import DatasetError
from lvs_ros.labels import UNLABELLED

CLASSES = 11
FRAME_RATE_HZ = 30
_IGNORED = 11    # the id of unlabelled pixels in the files
_NAME = re.compile(r'(?P<sequence>.+)_f?(?P<frame>\d+)')

LABEL_IDS = LabelIds(
    {**{class_id: class_id for class_id in range(CLASSES)},
     _IGNORED: UNLABELLED, UNLABELLED: UNLABELLED},
    f'0 to {CLASSES - 1}, or {_IGNORED} for unlabelled pixels')


def list_camvid(folder: pathlib.Path) -> list[DriveFrame]:
    """List a split (``train`` or ``val``), all of it labelled, by sequence and time.

    :raises DatasetError: when the folder, or the label of an image, is missing.
    """
    folder = pathlib.Path(folder)
    for part in ('images', 'labels'):
        if not (folder / part).is_dir():
            raise DatasetError(f'{folder / part}: no such folder; expected a CamVid split with '
                               'images/NAME.jpg and labels/NAME.png')
    found = []
    for image_path in sorted((folder / 'images').glob('*.jpg')):
        label_path = folder / 'labels' / f'{image_path.stem}.png'
        if not label_path.is_file():
            raise DatasetError(f'{label_path}: missing, but {image_path} is there')
        match = _NAME.fullmatch(image_path.stem)
        if match is None:
            raise DatasetError(f'{image_path}: expected a name like 0016E5_07959.jpg '
                               '(SEQUENCE_FRAME)')
        found.append(DriveFrame(match['sequence'], int(match['frame']) / FRAME_RATE_HZ,
                                image_path, label_path, LABEL_IDS))
    if not found:
        raise DatasetError(f'{folder / "images"}: no .jpg files')
    return sorted(found, key=lambda item: (item.sequence, item.time_s))
