# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""At what size the network sees the images of a camera."""

import dataclasses
import math
import re
from typing import Optional

from lvs_ros.errors import ConfigurationError
from lvs_ros.pipeline.input import SMALLEST

AUTO, IMAGE = 'auto', 'image'
LARGEST = 16384    # pixels a side


@dataclasses.dataclass(frozen=True)
class InferenceSize:
    """The option ``inference_size``, for one model.

    A network knows things at the scale at which it was trained. Images with many more pixels cost
    more, and their labels are worse.

    :param option: 'auto': an image with more pixels than the model's training images is scaled
        down to as many, in its own aspect ratio, and none is scaled up; 'image': the image's own
        size; or a size such as '640x480'
    :param model_size: (width, height) of the model's training images; None = unknown, and then
        'auto' is the image's own size, too
    :raises ConfigurationError: for another option.
    """

    option: str = AUTO
    model_size: Optional[tuple[int, int]] = None

    def __post_init__(self) -> None:
        self._fixed()

    def of(self, width: int, height: int) -> tuple[int, int]:
        """Return the (width, height) at which the network sees an image of this size."""
        fixed = self._fixed()
        if fixed is not None:
            return fixed
        if self.option == IMAGE or self.model_size is None:
            return width, height
        scale = math.sqrt(math.prod(self.model_size) / (width * height))
        if scale >= 1:
            return width, height
        return (_scaled(width, scale), _scaled(height, scale))

    def describe(self, width: int, height: int) -> str:
        """Say at what size the network sees an image of this size, why, and how to change that."""
        used = self.of(width, height)
        text = '{}x{}'.format(*used)
        if self.option == AUTO and self.model_size is None:
            return f"{text}, the image's own: the model does not tell the size of its training " \
                   'images; inference_size: WIDTHxHEIGHT would scale'
        if used == (width, height):
            return f"{text}, the image's own"
        if self.option != AUTO:
            return f'{text}, as inference_size says'
        assert self.model_size is not None
        return (text + ', as many pixels as the {}x{} of the training images; '.format(
            *self.model_size) + f'inference_size: {IMAGE} would keep {width}x{height}')

    def _fixed(self) -> Optional[tuple[int, int]]:
        if self.option in (AUTO, IMAGE):
            return None
        match = re.fullmatch(r'(\d{1,5})x(\d{1,5})', self.option) \
            if isinstance(self.option, str) else None
        if match is not None:
            width, height = int(match[1]), int(match[2])
            if SMALLEST <= min(width, height) and max(width, height) <= LARGEST:
                return width, height
        raise ConfigurationError(
            f'inference_size is {self.option!r}: expected {AUTO} (at most the size of the '
            f"model's training images), {IMAGE} (the image's own size), or WIDTHxHEIGHT of "
            f'{SMALLEST} to {LARGEST} pixels a side, such as 640x480')


def _scaled(side: int, scale: float) -> int:
    return max(min(side, SMALLEST), round(side * scale))
