# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""One frame of a drive on disk, with its labels where it has some."""

import dataclasses
import pathlib
from typing import Optional

import cv2
import numpy as np

from lvs_ros.datasets.label_files import LabelFiles
from lvs_ros.datasets.orientation import exif_orientation, upright, upright_labels
from lvs_ros.errors import DatasetError, ImageError
from lvs_ros.pipeline.encodings import decode_compressed
from lvs_ros.pipeline.pixel_limit import FILE_PIXELS


@dataclasses.dataclass(frozen=True)
class DriveFrame:
    """One image file, with its label file where there is one.

    :param sequence: name of the drive; frames of one sequence follow each other in time
    :param time_s: time within that drive
    :param label_path: None = this frame has no labels
    :param label_files: reads the label file; needed with ``label_path``
    """

    sequence: str
    time_s: float
    image_path: pathlib.Path
    label_path: Optional[pathlib.Path] = None
    label_files: Optional[LabelFiles] = dataclasses.field(
        default=None, repr=False, compare=False)

    def load(self) -> tuple[np.ndarray, Optional[np.ndarray]]:
        """Read the image, and the labels where there are some; upright, by EXIF's orientation.

        :return: image (H, W, 3) uint8 RGB; labels (H, W) uint8, 255 = unlabelled, or None
        :raises DatasetError: naming the file that is missing or does not fit.
        """
        try:
            image, _ = decode_compressed(self.image_path.read_bytes(), '', max_pixels=FILE_PIXELS)
        except (OSError, ImageError) as error:
            raise DatasetError(f'{self.image_path}: cannot be read as an image ({error}); copy it '
                               'again, or remove it') from error
        orientation = exif_orientation(self.image_path)
        labels = None if self.label_path is None else upright_labels(
            self._load_labels(self.label_path), self.label_path, stored=image.shape[:2],
            orientation=orientation, image_path=self.image_path)
        image = upright(image, orientation)
        if labels is not None and labels.shape != image.shape[:2]:
            raise DatasetError(
                f'{self.label_path}: {labels.shape[1]}x{labels.shape[0]} pixels, but the image '
                f'{self.image_path} has {image.shape[1]}x{image.shape[0]}; expected the same size')
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), labels

    def without_labels(self) -> 'DriveFrame':
        """Return the same frame as if it had never been labelled."""
        return dataclasses.replace(self, label_path=None, label_files=None)

    def _load_labels(self, path: pathlib.Path) -> np.ndarray:
        if self.label_files is None:
            raise ValueError(f'{path}: label_path without label_files')
        return self.label_files.read(path)
