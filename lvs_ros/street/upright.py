# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Drawing in metres on an upright plane that faces the camera, at one place of the street."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lvs_ros.street.camera import NEAR_M
from lvs_ros.street.painter import SUBPIXELS
from lvs_ros.street.view import View

Point = tuple[float, float]

_NEAREST_M = 1.0


class Upright:
    """A plane across the road; points on it are metres to the right of and above its foot.

    Small things are many, so this computes with plain numbers: for four points NumPy costs more.

    :param surface: the code that is written with the shapes; it may be changed in between.
    :param x, y, s: its foot in road coordinates, metres.
    """

    def __init__(self, view: View, surface: int, *, x: float, y: float, s: float) -> None:
        self.surface = surface
        self.distance = view.distance(s)
        self._scale = view.camera.focal / max(self.distance, NEAR_M)
        self._u, self._v = view.camera.project_point(x, y, s)
        self._canvas, self._light = view.canvas, view.light

    def visible(self, half_width: float, height: float) -> bool:
        """Tell whether a box around the foot is in the picture."""
        reach = self._scale * half_width
        return (self.distance > _NEAREST_M and self._u + reach >= 0.0
                and self._u - reach < self._canvas.width and self._v >= 0.0
                and self._v - self._scale * height < self._canvas.height)

    def shape(self, points: Sequence[Point], colour: Sequence[float],
              brightness: float = 1.0) -> None:
        """Fill a polygon."""
        scale = SUBPIXELS * self._scale
        u, v = SUBPIXELS * self._u, SUBPIXELS * self._v
        corners = np.array([[(int(u + scale * x), int(v - scale * y)) for x, y in points]],
                           np.int32)
        tone = self._light.tone(colour, self.distance, brightness)
        self._canvas.fixed_polygons(corners, tone, self.surface)

    def box(self, x0: float, x1: float, y0: float, y1: float, colour: Sequence[float],
            brightness: float = 1.0) -> None:
        """Fill a rectangle."""
        self.shape(((x0, y0), (x1, y0), (x1, y1), (x0, y1)), colour, brightness)

    def trapezoid(self, y0: float, half0: float, y1: float, half1: float,
                  colour: Sequence[float], x: float = 0.0) -> None:
        """Fill a trapezoid around ``x``: ``half0`` and ``half1`` are half its widths."""
        self.shape(((x - half0, y0), (x + half0, y0), (x + half1, y1), (x - half1, y1)), colour)

    def limb(self, start: Point, end: Point, width: float, colour: Sequence[float],
             brightness: float = 1.0) -> None:
        """Fill a thick line."""
        (x0, y0), (x1, y1) = start, end
        half = 0.5 * width / (math.hypot(x1 - x0, y1 - y0) + 1e-9)
        nx, ny = (y0 - y1) * half, (x1 - x0) * half
        self.shape(((x0 + nx, y0 + ny), (x1 + nx, y1 + ny), (x1 - nx, y1 - ny),
                    (x0 - nx, y0 - ny)), colour, brightness)

    def ellipse(self, x: float, y: float, radius_x: float, radius_y: float,
                colour: Sequence[float], brightness: float = 1.0) -> None:
        """Fill an ellipse."""
        self.shape([(x + radius_x * cosine, y + radius_y * sine) for cosine, sine in _CIRCLE],
                   colour, brightness)


_CIRCLE = tuple((math.cos(0.125 * math.pi * step), math.sin(0.125 * math.pi * step))
                for step in range(16))
