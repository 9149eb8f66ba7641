# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""CamVid in the layout of the SegNet split: ``images/NAME.jpg`` and ``labels/NAME.png``.

Brostow, Fauqueur, Cipolla, "Semantic object classes in video", Pattern Recognition Letters 2009.
NAME is ``SEQUENCE_FRAME``; frame / 30 is the time in seconds within its sequence.
"""

import dataclasses
import pathlib
import re

import cv2
import numpy as np

from lvs_ros.errors import DatasetError
from lvs_ros.labels import UNLABELLED

CLASSES = 11
FRAME_RATE_HZ = 30
_IGNORED = 11    # the id of unlabelled pixels in the files
_NAME = re.compile(r'(?P<sequence>.+)_f?(?P<frame>\d+)')


@dataclasses.dataclass(frozen=True)
class LabelledImage:
    """One image file with its label file.

    :param sequence: name of the drive
    :param time_s: time within that drive
    """

    image_path: pathlib.Path
    label_path: pathlib.Path
    sequence: str
    time_s: float

    def load(self) -> tuple[np.ndarray, np.ndarray]:
        """Read both files.

        :return: image (H, W, 3) uint8 RGB; labels (H, W) uint8, 255 = unlabelled
        :raises DatasetError: naming the file that is missing or does not fit.
        """
        image = cv2.imread(str(self.image_path), cv2.IMREAD_COLOR)
        if image is None:
            raise DatasetError(f'{self.image_path}: cannot be read as an image')
        labels = cv2.imread(str(self.label_path), cv2.IMREAD_UNCHANGED)
        if labels is None:
            raise DatasetError(f'{self.label_path}: cannot be read as an image')
        if labels.ndim != 2 or labels.dtype != np.uint8:
            raise DatasetError(f'{self.label_path}: expected one byte a pixel (the class id), '
                               f'found shape {labels.shape} of {labels.dtype}')
        if labels.shape != image.shape[:2]:
            raise DatasetError(
                f'{self.label_path}: {labels.shape[1]}x{labels.shape[0]} pixels, but the image '
                f'has {image.shape[1]}x{image.shape[0]}; expected the same size')
        wrong = labels[(labels > _IGNORED) & (labels != UNLABELLED)]
        if wrong.size:
            raise DatasetError(f'{self.label_path}: class id {wrong[0]}; expected 0 to '
                               f'{CLASSES - 1}, or {_IGNORED} for unlabelled pixels')
        labels = np.where(labels == _IGNORED, np.uint8(UNLABELLED), labels)
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), labels


def list_camvid(folder: pathlib.Path) -> list[LabelledImage]:
    """List a split (``train`` or ``val``) in the order of its drives.

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
        found.append(LabelledImage(image_path, label_path, match['sequence'],
                                   int(match['frame']) / FRAME_RATE_HZ))
    if not found:
        raise DatasetError(f'{folder / "images"}: no .jpg files')
    return sorted(found, key=lambda item: (item.sequence, item.time_s))
