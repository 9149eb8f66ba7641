# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Looking ahead: the labels of a frame moved to a later time, by the motion since the one before.

What a planner gets is never the world as it is: the newest mask is at least one frame old (Li,
Wang, Ramanan, "Towards Streaming Perception", ECCV 2020). Between two frames the motion hardly
changes, so optical flow tells where things will be.
"""

import collections
import dataclasses
import functools
from typing import Optional

import cv2
import numpy as np
import torch

from lvs_ros.backends.cpu.library import kernels, native
from lvs_ros.options import LONGEST_FORECAST_S
from lvs_ros.pipeline.frame import Frame, StepResult
from lvs_ros.pipeline.optical_flow import OpticalFlow

_POSITION = 4    # pixels of the mask from position to position of the flow
_SHORTEST_SIDE = 512    # of the images for it: 480x360 as it is, 1280x720 halved
_STEPS = 2    # of the search for what will be at a position
_SAME = 16    # grey levels by which content may differ in the frame before; else it is new
_PERIODS = 9    # of which the median is taken


@dataclasses.dataclass(frozen=True)
class Forecast:
    """The labels of a frame at a later time.

    :param mask: (H, W) uint8 class ids
    :param confidence: (H, W) uint8, moved likewise; 0 where nothing that was seen comes to. None
        where the frame's was not computed
    :param stamp_ns: the time that the labels are for: that of the frame where they are unmoved
    :param unmoved: why they are as they were; None = they were moved
    """

    mask: np.ndarray
    confidence: Optional[np.ndarray]
    stamp_ns: int
    unmoved: Optional[str] = None


class Forecaster:
    """Moves the labels of frames that follow one another. Keeps the one before as a grey image."""

    def __init__(self) -> None:
        self._flow = OpticalFlow(shortest_side=_SHORTEST_SIDE)
        self._before: Optional[tuple[np.ndarray, int]] = None    # grey image and stamp
        self._periods_ns: collections.deque[int] = collections.deque(maxlen=_PERIODS)

    def reset(self) -> None:
        """Forget the earlier frames: the next one has nothing to do with them."""
        self._before = None
        self._periods_ns.clear()

    def forecast(self, frame: Frame, result: StepResult, forecast_s: float) -> Forecast:
        """Move the labels of a frame.

        :param result: its labels, of any size
        :param forecast_s: how far, in seconds; 0 = by the median time from frame to frame
        """
        grey, before = self._flow.grey(frame), self._before
        self._before = grey, frame.stamp_ns
        if before is None or before[0].shape != grey.shape:
            return _as_it_is(frame, result, 'there is no frame before it')
        period_ns = frame.stamp_ns - before[1]
        if period_ns <= 0:
            return _as_it_is(frame, result, 'its stamp is not later than that of the one before')
        self._periods_ns.append(period_ns)
        typical_ns = float(np.median(self._periods_ns))
        if max(period_ns, typical_ns) > LONGEST_FORECAST_S * 1e9:
            return _as_it_is(
                frame, result, f'the frames are {max(period_ns, typical_ns) / 1e9:.2f} s apart, '
                f'more than {LONGEST_FORECAST_S:g} s')
        ahead_ns = round(forecast_s * 1e9 or typical_ns)
        mask, confidence = self._moved(grey, before[0], ahead_ns / period_ns, result)
        return Forecast(mask, confidence, frame.stamp_ns + ahead_ns)

    def _moved(self, now: np.ndarray, before: np.ndarray, ahead: float, result: StepResult
               ) -> tuple[np.ndarray, Optional[np.ndarray]]:
        mask, confidence = result.mask, result.confidence
        rows, columns = (max(1, -(-side // _POSITION)) for side in mask.shape)
        displacement = self._flow.displacement(now, before, height=rows, width=columns)[0].numpy()
        if confidence is not None:
            confidence = confidence * cv2.resize(
                is_same(now, before, _in_pairs(displacement)), mask.shape[::-1],
                interpolation=cv2.INTER_NEAREST)
        if kernels() is not None:
            return _native_look_ahead(displacement, ahead, mask, confidence)
        return look_ahead(_in_pairs(displacement), ahead, mask, confidence)


def _in_pairs(displacement: np.ndarray) -> np.ndarray:
    """(2, h, w) → (h, w, 2), as OpenCV has it."""
    return np.ascontiguousarray(displacement.transpose(1, 2, 0))


def _as_it_is(frame: Frame, result: StepResult, reason: str) -> Forecast:
    return Forecast(result.mask, result.confidence, frame.stamp_ns, reason)


def look_ahead(motion: np.ndarray, ahead: float, mask: np.ndarray,
               confidence: Optional[np.ndarray] = None
               ) -> tuple[np.ndarray, Optional[np.ndarray]]:
    """Move labels by the motion of their positions.

    :param motion: (h, w, 2) float32, see :func:`find_sources`
    :param ahead: see there
    :param mask: (H, W) uint8
    :param confidence: the same, or None
    :return: the same; outside of the image the mask goes on as at the border, the confidence is 0
    """
    places = pixels_of(find_sources(motion, ahead), mask.shape)
    if confidence is not None:
        confidence = moved(confidence, places) * is_inside(places)
    return moved(mask, places), confidence


def find_sources(motion: np.ndarray, ahead: float) -> np.ndarray:
    """Tell where what will be at each position is now, if it goes on as it has moved.

    The flow is that of the position where things are now, not of the one where they will be. So
    the source of x is the fixed point of x + ahead * motion(source).

    :param motion: (h, w, 2) float32, x and y in positions: the content that is at x now was at
        x + motion in the frame before
    :param ahead: how far to look ahead, in times between the two frames
    :return: (h, w, 2) float32: what will be at x is at x + sources now
    """
    positions, sources = _grid(*motion.shape[:2]), ahead * motion
    for _ in range(_STEPS):
        sources = ahead * _read(motion, positions + sources, cv2.INTER_LINEAR)
    return sources


def pixels_of(sources: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the pixel that is the source of each pixel.

    :param sources: see :func:`find_sources`
    :param size: (height, width) of the image
    :return: (height, width, 2) float32, x and y
    """
    (height, width), (rows, columns) = size, sources.shape[:2]
    pixels = cv2.resize(sources * np.array((width / columns, height / rows), np.float32),
                        (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.add(pixels, _grid(height, width), dst=pixels))


def moved(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Read the nearest pixel to each place, (H, W) uint8; outside, that at the border."""
    return _read(image, places, cv2.INTER_NEAREST)


def is_inside(places: np.ndarray) -> np.ndarray:
    """Tell which places, (H, W, 2), are inside of an image of that size; (H, W) bool."""
    height, width = places.shape[:2]
    inside = (places > -0.5) & (places < (width - 0.5, height - 0.5))
    return np.asarray(inside.all(-1))


def is_same(now: np.ndarray, before: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Tell where the flow has found the content of each position in the frame before.

    :param now: (H, W) uint8
    :param before: the same
    :param motion: (h, w, 2) float32, see :func:`find_sources`
    :return: (h, w) uint8, 0 or 1
    """
    rows, columns = motion.shape[:2]
    small, earlier = (cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
                      for image in (now, before))
    expected = _read(earlier, _grid(rows, columns) + motion, cv2.INTER_LINEAR)
    return (cv2.absdiff(small, expected) <= _SAME).astype(np.uint8)


def _read(image: np.ndarray, places: np.ndarray, interpolation: int) -> np.ndarray:
    return np.asarray(cv2.remap(image, places, None,  # type: ignore[call-overload]
                                interpolation, borderMode=cv2.BORDER_REPLICATE))


def _native_look_ahead(displacement: np.ndarray, ahead: float, mask: np.ndarray,
                       confidence: Optional[np.ndarray]
                       ) -> tuple[np.ndarray, Optional[np.ndarray]]:
    """Do what :func:`look_ahead` does; results differ by rounding.

    :param displacement: (2, h, w) float32 without gaps
    """
    images = [np.ascontiguousarray(one) for one in (mask, confidence) if one is not None]
    results = [np.empty_like(one) for one in images]

    def addresses(arrays: list[np.ndarray]) -> list[Optional[int]]:
        return [array.ctypes.data for array in arrays] + [None] * (2 - len(arrays))

    native().lvs_look_ahead(
        displacement.ctypes.data, *addresses(images), *addresses(results),
        *displacement.shape[1:], *mask.shape, ahead, _STEPS, torch.get_num_threads())
    return results[0], results[1] if confidence is not None else None


@functools.lru_cache(maxsize=4)
def _grid(height: int, width: int) -> np.ndarray:
    """Return x and y of every pixel, (H, W, 2) float32; not to be changed."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.ascontiguousarray(np.stack((x, y), -1))
