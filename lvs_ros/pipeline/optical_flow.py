# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Optical flow between two frames, by OpenCV's DIS.

Kroeger et al., "Fast optical flow using dense inverse search", ECCV 2016.
"""

import cv2
import numpy as np
import torch

from lvs_ros.pipeline.frame import Frame

_GREY_CODES = {'rgb': cv2.COLOR_RGB2GRAY, 'bgr': cv2.COLOR_BGR2GRAY,
               'rgba': cv2.COLOR_RGBA2GRAY, 'bgra': cv2.COLOR_BGRA2GRAY}
_SMALLEST = 32    # pixels a side: below this, DIS finds no patches


class OpticalFlow:
    """Dense flow at a fraction of the image size. Not thread-safe.

    :param preset: effort of DIS
    :param shortest_side: the images are halved until their shorter side is at most so many pixels
    """

    def __init__(self, preset: int = cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST, *,
                 shortest_side: int = 256) -> None:
        self._dis = cv2.DISOpticalFlow.create(preset)
        self._shortest_side = shortest_side

    def grey(self, frame: Frame) -> np.ndarray:
        """Return what is kept of a frame: (H, W) uint8, halved as often as it takes."""
        image = frame.image
        if frame.order == 'mono':
            grey = image.reshape(image.shape[:2])
        else:
            grey = cv2.cvtColor(np.ascontiguousarray(image), _GREY_CODES[frame.order])
        height, width = frame.size[::-1]
        halvings = 0
        while min(height, width) >> halvings > self._shortest_side:
            halvings += 1
        size = max(_SMALLEST, width >> halvings), max(_SMALLEST, height >> halvings)
        if size == (width, height):
            return grey.copy()    # the frame's memory is not ours to keep
        return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)

    def displacement(self, now: np.ndarray, before: np.ndarray, *, height: int, width: int
                     ) -> torch.Tensor:
        """Where the content of each position was.

        :param now: :meth:`grey` of the present frame
        :param before: that of the earlier frame, of the same size
        :param height: positions of the features
        :param width: positions of the features
        :return: (1, 2, height, width) float32 for :func:`~lvs_ros.model.alignment.align`
        """
        found = self._dis.calc(now, before, None)  # type: ignore[call-overload]
        flow = cv2.resize(found, (width, height),
                          interpolation=cv2.INTER_AREA)
        flow *= np.array([width / now.shape[1], height / now.shape[0]], np.float32)
        return torch.from_numpy(flow).permute(2, 0, 1)[None]
