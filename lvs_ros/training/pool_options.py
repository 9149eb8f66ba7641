# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What making a frame pool of a labelled drive and of footage has in common."""

import dataclasses
from typing import Optional

import cv2
import numpy as np
import torch

from lvs_ros.errors import DatasetError
from lvs_ros.training.teacher import Teacher

# Every so many pixels of every so many rows: enough to count the classes in.
_SAMPLE_STEP = 8
_BYTES_A_PIXEL = 4    # three of the image, one of the labels


@dataclasses.dataclass(frozen=True)
class PoolOptions:
    """How pools are made.

    :param device: the training device
    :param size: (width, height) to scale the frames to; None = as they are
    :param memory_gb: a pool that takes more is read as it is needed
    :param teacher: labels what has no labels
    """

    device: torch.device
    size: Optional[tuple[int, int]] = None
    memory_gb: float = 2.0
    teacher: Optional[Teacher] = None

    def fits(self, frames: int, height: int, width: int) -> bool:
        """Whether so many frames of this size are to be held in memory."""
        return frames * height * width * _BYTES_A_PIXEL <= self.memory_gb * 1e9

    def scaled(self, image: np.ndarray, interpolation: int = cv2.INTER_AREA) -> np.ndarray:
        """Scale an image to the wanted size.

        :param interpolation: of OpenCV; INTER_NEAREST for labels, so that no new ids come up
        """
        if self.size is None or image.shape[1::-1] == self.size:
            return image
        return cv2.resize(image, self.size, interpolation=interpolation)


def check_size(image: np.ndarray, size: tuple[int, ...], name: str) -> None:
    """See that a frame has the size of those before it.

    :param size: (height, width)
    :param name: the frame's
    :raises DatasetError: naming it, when it has another.
    """
    if image.shape[:2] != size:
        raise DatasetError(
            f'{name}: {image.shape[1]}x{image.shape[0]} pixels, but the frames before it have '
            f'{size[1]}x{size[0]}; expected one size for all: scale them with --size')


def class_sample(labels: np.ndarray) -> np.ndarray:
    """Thin labels out, for counting the classes in them."""
    return labels[::_SAMPLE_STEP, ::_SAMPLE_STEP].copy()
