# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The canvas: OpenCV polygons whose colour and surface code are written in the same stroke."""

from __future__ import annotations

import cv2
import numpy as np

from lvs_ros.street.surfaces import CLASS_MASK

Colour = tuple[int, int, int]

_FRACTION_BITS = 4
SUBPIXELS = 1 << _FRACTION_BITS
"""Steps of a pixel in which OpenCV fills polygons."""

_KEEP_COLOUR = np.array([255.0, 255.0, 255.0, 0.0])
_LIMIT = 30000.0 * SUBPIXELS


class Canvas:
    """A picture of four bytes a pixel: red, green, blue, surface code.

    It is twice the size of the result: the image is its average, the labels its every other pixel.

    :param width: of the canvas, in pixels.
    :param height: of the canvas, in pixels.
    """

    def __init__(self, *, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.pixels = np.zeros((height, width, 4), np.uint8)

    def convex(self, points: np.ndarray, colour: Colour, surface: int) -> None:
        """Fill one convex polygon, which is faster.

        :param points: (N, 2) columns and rows in pixels.
        """
        cv2.fillConvexPoly(self.pixels, fixed_point(points), (*colour, surface),
                           shift=_FRACTION_BITS)

    def polygons(self, points: np.ndarray, colour: Colour, surface: int) -> None:
        """Fill polygons of one colour that don't overlap.

        :param points: (M, N, 2) columns and rows in pixels; any simple polygons.
        """
        self.fixed_polygons(fixed_point(points), colour, surface)

    def fixed_polygons(self, points: np.ndarray, colour: Colour, surface: int) -> None:
        """Fill polygons that :func:`fixed_point` has converted.

        :param points: (M, N, 2) int32.
        """
        if len(points):
            cv2.fillPoly(self.pixels, list(points), (*colour, surface), shift=_FRACTION_BITS)

    def sprite(self, shades: np.ndarray, lookup: np.ndarray, *, left: float, top: float,
               width: float, height: float, surface: int) -> None:
        """Lay a small picture over the canvas, nearest pixel.

        :param shades: (h, w) uint8: 0 nothing, 1 only the surface code (what is behind shines
            through), from 2 on an index into ``lookup``.
        :param lookup: (256,) uint32, packed colours of :func:`packed_colours`.
        :param left, top, width, height: its place on the canvas in pixels.
        """
        u0, v0 = max(int(left), 0), max(int(top), 0)
        u1 = min(int(left + width) + 1, self.width)
        v1 = min(int(top + height) + 1, self.height)
        if u1 <= u0 or v1 <= v0:
            return
        su, sv = shades.shape[1] / width, shades.shape[0] / height
        affine = np.array([[su, 0.0, (u0 - left) * su], [0.0, sv, (v0 - top) * sv]])
        piece: np.ndarray = cv2.warpAffine(
            shades, affine, (u1 - u0, v1 - v0), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        place = self.pixels[v0:v1, u0:u1]
        painted = lookup.take(piece).view(np.uint8).reshape(*piece.shape, 4)
        # OpenCV's masked operations are several times quicker than NumPy's.
        cv2.copyTo(painted, (piece > 1).view(np.uint8), place)
        air = (piece == 1).view(np.uint8)
        if air.any():
            cv2.bitwise_and(place, _KEEP_COLOUR, place, air)
            cv2.bitwise_or(place, np.array([0.0, 0.0, 0.0, surface]), place, air)

    def visible(self, points: np.ndarray) -> bool:
        """Tell whether the bounding box of points meets the canvas."""
        low, high = points.min(axis=-2), points.max(axis=-2)
        return bool(high[0] >= 0 and low[0] < self.width
                    and high[1] >= 0 and low[1] < self.height)

    def labels(self) -> np.ndarray:
        """Return the class ids at half the size, (H, W) uint8."""
        return np.ascontiguousarray(self.pixels[::2, ::2, 3] & CLASS_MASK)


def packed_colours(colours: np.ndarray, surface: int) -> np.ndarray:
    """Pack colours for :meth:`Canvas.sprite`.

    :param colours: (256, 3) uint8.
    :returns: (256,) uint32.
    """
    packed = np.insert(colours, 3, surface, axis=1)
    return packed.view(np.uint32)[:, 0]


def fixed_point(points: np.ndarray) -> np.ndarray:
    """Convert pixels to the sixteenths of a pixel that OpenCV fills by, (..., 2) int32."""
    # Not np.clip and np.rint: this runs a thousand times a frame.
    scaled = np.asarray(points) * SUBPIXELS
    return np.minimum(np.maximum(scaled, -_LIMIT), _LIMIT).astype(np.int32)
