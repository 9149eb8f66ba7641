# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Optical flow between two frames, by dense inverse search (DIS), OpenCV's or native.

Kroeger et al., "Fast optical flow using dense inverse search", ECCV 2016.
"""

import cv2
import numpy as np
import torch

from lvs_ros.backends.cpu.library import kernels, native, pointer
from lvs_ros.pipeline.frame import CHANNELS, Frame

_GREY_CODES = {'rgb': cv2.COLOR_RGB2GRAY, 'bgr': cv2.COLOR_BGR2GRAY,
               'rgba': cv2.COLOR_RGBA2GRAY, 'bgra': cv2.COLOR_BGRA2GRAY}
_SMALLEST = 32    # pixels a side: below this, DIS finds no patches
# Pixels of the longer side: in smaller images OpenCV goes on to finer levels than the preset says.
_SMALLEST_NATIVE = 91


class OpticalFlow:
    """Dense flow at a fraction of the image size. Not thread-safe.

    The preset ULTRAFAST has a native kernel for all but tiny images; the results differ from
    OpenCV's by rounding.

    :param preset: effort of DIS
    :param shortest_side: the images are halved until their shorter side is at most so many pixels
    """

    def __init__(self, preset: int = cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST, *,
                 shortest_side: int = 256) -> None:
        self._dis = cv2.DISOpticalFlow.create(preset)
        self._is_native = preset == cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST
        self._shortest_side = shortest_side

    def grey(self, frame: Frame) -> np.ndarray:
        """Return what is kept of a frame: (H, W) uint8, halved as often as it takes.

        :raises ImageError: when image and channel order do not fit together.
        """
        frame.check()    # the operator would read beyond the image
        width, height = frame.size
        halvings = 0
        while min(height, width) >> halvings > self._shortest_side:
            halvings += 1
        size = max(_SMALLEST, width >> halvings), max(_SMALLEST, height >> halvings)
        if kernels() is not None and size == (width / 2 ** halvings, height / 2 ** halvings):
            return _native_grey(frame, halvings)
        image = frame.image
        if frame.order == 'mono':
            grey = image.reshape(image.shape[:2])
        else:
            grey = cv2.cvtColor(np.ascontiguousarray(image), _GREY_CODES[frame.order])
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
        :return: (1, 2, height, width) float32 for :func:`~lvs_ros.ops.warp.warp`
        :raises ValueError: when the images are not two of the same size as :meth:`grey` makes
            them, or there are no positions.
        """
        _check(now, before, height, width)
        # More positions than pixels is the one way of resizing that has no kernel.
        if (self._is_native and kernels() is not None and max(now.shape) >= _SMALLEST_NATIVE
                and height <= now.shape[0] and width <= now.shape[1]):
            return _native_displacement(now, before, height, width)
        found = self._dis.calc(now, before, None)  # type: ignore[call-overload]
        flow = cv2.resize(found, (width, height),
                          interpolation=cv2.INTER_AREA)
        flow *= np.array([width / now.shape[1], height / now.shape[0]], np.float32)
        return torch.from_numpy(flow).permute(2, 0, 1)[None]


def _check(now: np.ndarray, before: np.ndarray, height: int, width: int) -> None:
    for image in (now, before):
        if image.dtype != np.uint8 or image.ndim != 2 or min(image.shape) < _SMALLEST:
            raise ValueError(f'grey image of shape {image.shape} and dtype {image.dtype}: '
                             f'expected (height, width) uint8 of at least {_SMALLEST} pixels a '
                             'side')
    if now.shape != before.shape:
        raise ValueError(f'grey images of shapes {now.shape} and {before.shape}: expected two of '
                         'the same size')
    if height < 1 or width < 1:
        raise ValueError(f'{height} x {width} positions: expected at least one')


def _native_grey(frame: Frame, halvings: int) -> np.ndarray:
    channels, (width, height) = CHANNELS[frame.order], frame.size
    image = frame.image.reshape(height, width, channels)
    if image.strides[1:] != (channels, 1):    # only rows may have gaps between them
        image = np.ascontiguousarray(image)
    grey = np.empty((height >> halvings, width >> halvings), np.uint8)
    native().lvs_grey(image.ctypes.data, grey.ctypes.data, image.strides[0], height, width,
                      channels, frame.order.find('r'), halvings, torch.get_num_threads())
    return grey


def _native_displacement(now: np.ndarray, before: np.ndarray, height: int, width: int
                         ) -> torch.Tensor:
    now, before = np.ascontiguousarray(now), np.ascontiguousarray(before)
    result = torch.empty(1, 2, height, width, dtype=torch.float32, device='cpu')
    native().lvs_inverse_search(now.ctypes.data, before.ctypes.data, pointer(result), *now.shape,
                                height, width, torch.get_num_threads())
    return result
