# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Road, kerbs, pavements, side roads, markings and the shadows of houses upon them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lvs_ros.street.camera import FAR_M, NEAR_M, Camera
from lvs_ros.street.light import Light
from lvs_ros.street.motion import Motion
from lvs_ros.street.painter import Canvas, Colour
from lvs_ros.street.surfaces import GRASS_SURFACE, PAVEMENT_SURFACE, ROAD_SURFACE
from lvs_ros.street.world import FACADE_X_M, KERB_M, ROAD_HALF_M, Plot

_ASPHALT = (92, 92, 94)
_PAVING = (118, 116, 112)
_KERB = (140, 138, 132)
_GRASS = (92, 104, 52)
_PAINT = (206, 206, 200)
_YELLOW = (178, 150, 70)

# Where strips are cut: what is broad shows its steps of haze, what is thin does not.
_FINE = np.concatenate([np.geomspace(NEAR_M, 60.0, 13), np.linspace(80.0, 1.5 * FAR_M, 8)])
_COARSE = _FINE[::2]


class GroundPainter:
    """Paints the ground of one frame."""

    def __init__(self, canvas: Canvas, camera: Camera, light: Light) -> None:
        self._canvas, self._camera, self._light = canvas, camera, light

    def _tone(self, colour: Sequence[float], s: float, brightness: float = 1.0) -> Colour:
        return self._light.tone(colour, s - self._camera.pose.s, brightness=brightness)

    def _strip(self, x0: float, x1: float, colour: Sequence[float], surface: int, *,
               y: float = 0.0, y1: float | None = None, start: float = 0.0, end: float = np.inf,
               brightness: float = 1.0) -> None:
        """Fill a strip along the road, in pieces that fade with distance."""
        s = self._camera.pose.s + (_FINE if abs(x1 - x0) > 1.0 else _COARSE)
        s = np.clip(s, max(start, s[0]), max(min(end, s[-1]), s[0]))
        first = self._camera.project(x0, y, s)
        second = self._camera.project(x1, y if y1 is None else y1, s)
        quads = np.stack([first[:-1], first[1:], second[1:], second[:-1]], axis=1)
        for at in np.flatnonzero(np.diff(s) > 1e-6):
            tone = self._tone(colour, 0.5 * float(s[at] + s[at + 1]), brightness)
            self._canvas.convex(quads[at], tone, surface)

    def paint_base(self) -> None:
        """Paint land, road, kerbs and pavements."""
        canvas, camera = self._canvas, self._camera
        top = camera.horizon
        tone = self._tone(_PAVING, camera.pose.s + 120.0)
        canvas.convex(np.array([[0, top], [canvas.width, top], [canvas.width, canvas.height],
                                [0, canvas.height]], float), tone, PAVEMENT_SURFACE)
        for side in (-1, 1):
            bright = self._light.shadow if side == self._light.sun_side else 1.0
            self._strip(side * 60.0, side * ROAD_HALF_M, _PAVING, PAVEMENT_SURFACE, y=KERB_M,
                        brightness=bright)
        self._strip(-ROAD_HALF_M, ROAD_HALF_M, _ASPHALT, ROAD_SURFACE)
        for side in (-1, 1):
            bright = 0.8 * (self._light.shadow if side == self._light.sun_side else 1.0)
            self._strip(side * ROAD_HALF_M, side * ROAD_HALF_M, _KERB, PAVEMENT_SURFACE,
                        y=0.0, y1=KERB_M, brightness=bright)
            self._strip(side * (ROAD_HALF_M + 0.22), side * ROAD_HALF_M, _KERB, PAVEMENT_SURFACE,
                        y=KERB_M, brightness=bright)

    def paint_plot(self, plot: Plot, house_height: float) -> None:
        """Paint what a plot lays on the ground: lawn, side road, the shadow of its house."""
        side = plot.side
        if plot.kind == 'park':
            self._quad(side * (FACADE_X_M + 0.1), side * 45.0, plot.s0, plot.s1, _GRASS,
                       GRASS_SURFACE, y=KERB_M)
        elif plot.kind == 'gap':
            self._quad(side * (ROAD_HALF_M - 0.1), side * 60.0, plot.s0 + 2.0, plot.s1 - 2.0,
                       _ASPHALT, ROAD_SURFACE, brightness=0.97)
        if side == self._light.sun_side and plot.kind == 'house':
            reach = min(-FACADE_X_M + 0.95 * house_height, ROAD_HALF_M)
            if reach > -ROAD_HALF_M:
                self._quad(side * ROAD_HALF_M, -side * reach, plot.s0, plot.s1, _ASPHALT,
                           ROAD_SURFACE, brightness=self._light.shadow)

    def _quad(self, x0: float, x1: float, s0: float, s1: float,
              colour: Sequence[float], surface: int, *, y: float = 0.0,
              brightness: float = 1.0) -> None:
        start = max(s0, self._camera.pose.s + NEAR_M)
        if s1 <= start:
            return
        corners = self._camera.project(np.array([x0, x1, x1, x0]), y,
                                       np.array([start, start, s1, s1]))
        if self._canvas.visible(corners):
            self._canvas.convex(corners, self._tone(colour, 0.5 * (start + s1), brightness),
                                surface)

    def paint_markings(self, motion: Motion) -> None:
        """Paint the centre line, the lines at the kerbs and the crossings."""
        here = self._camera.pose.s
        first = np.floor(here / 6.0) * 6.0
        at = first + 6.0 * np.arange(0.0, 16.0)
        at = at[at + 3.0 > here + NEAR_M]
        along = np.stack([at, at, at + 3.0, at + 3.0], axis=1)
        dashes = self._camera.project(np.array([-0.06, 0.06, 0.06, -0.06]), 0.0, along)
        for place, dash in zip(at, dashes):
            self._canvas.convex(dash, self._tone(_PAINT, place), ROAD_SURFACE)
        for side in (-1, 1):
            for x in (4.55, 4.75):
                self._strip(side * x, side * (x + 0.07), _YELLOW, ROAD_SURFACE, end=here + 60.0)
        for cycle in motion.stop_cycles(here - 10.0, here + 90.0):
            self._paint_crossing(motion.stop_line_s(cycle))

    def _paint_crossing(self, stop_s: float) -> None:
        self._quad(-ROAD_HALF_M + 0.5, 0.0, stop_s + 3.4, stop_s + 3.7, _PAINT, ROAD_SURFACE)
        for x in np.arange(-4.5, 4.4, 1.2):
            self._quad(float(x), float(x) + 0.6, stop_s + 5.0, stop_s + 7.8, _PAINT, ROAD_SURFACE)
