# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Road, kerbs, pavements, side roads, markings and the shadows of houses upon them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lvs_ros.street.buildings import make_house
from lvs_ros.street.camera import FAR_M, NEAR_M
from lvs_ros.street.motion import Motion
from lvs_ros.street.surfaces import GRASS_SURFACE, PAVEMENT_SURFACE, ROAD_SURFACE
from lvs_ros.street.view import View
from lvs_ros.street.world import FACADE_X_M, KERB_M, ROAD_HALF_M, Plot

_ASPHALT = (92, 92, 94)
_PAVING = (118, 116, 112)
_KERB = (140, 138, 132)
_GRASS = (92, 104, 52)
_PAINT = (206, 206, 200)
_YELLOW = (178, 150, 70)

_FINE = np.concatenate([np.geomspace(NEAR_M, 60.0, 13), np.linspace(80.0, 1.5 * FAR_M, 8)])
_COARSE = _FINE[::2]


def paint_ground(view: View, motion: Motion, plots: Sequence[Plot]) -> None:
    """Paint the ground of one frame.

    :param plots: of both sides, each side from near to far.
    """
    _paint_base(view)
    for plot in reversed(plots):
        _paint_plot(view, plot)
    _paint_markings(view, motion)


def _strip(view: View, x0: float, x1: float, colour: Sequence[float], surface: int, *,
           y: float = 0.0, y1: float | None = None, end_m: float = np.inf,
           brightness: float = 1.0) -> None:
    """Fill a strip along the road, in pieces that fade with distance, up to ``end_m`` ahead."""
    here = view.camera.pose.s
    s = here + (_FINE if abs(x1 - x0) > 1.0 else _COARSE)
    s = np.minimum(s, here + end_m)
    first = view.camera.project(x0, y, s)
    second = view.camera.project(x1, y if y1 is None else y1, s)
    quads = np.stack([first[:-1], first[1:], second[1:], second[:-1]], axis=1)
    for at in np.flatnonzero(np.diff(s) > 1e-6):
        distance = view.distance(0.5 * float(s[at] + s[at + 1]))
        view.canvas.convex(quads[at], view.light.tone(colour, distance, brightness), surface)


def _quad(view: View, x0: float, x1: float, s0: float, s1: float, colour: Sequence[float],
          surface: int, *, y: float = 0.0, brightness: float = 1.0) -> None:
    """Fill a rectangle on the ground."""
    start = max(s0, view.camera.pose.s + NEAR_M)
    if s1 > start:
        view.face(np.array([x0, x1, x1, x0]), y, np.array([start, start, s1, s1]), colour,
                  surface, view.distance(0.5 * (start + s1)), brightness)


def _paint_base(view: View) -> None:
    """Paint land, road, kerbs and pavements."""
    width, height, top = view.canvas.width, view.canvas.height, view.camera.horizon
    view.canvas.convex(np.array([[0, top], [width, top], [width, height], [0, height]], float),
                       view.light.tone(_PAVING, 120.0), PAVEMENT_SURFACE)
    brightness = {side: view.light.shadow if side == view.light.sun_side else 1.0
                  for side in (-1, 1)}
    for side, bright in brightness.items():
        _strip(view, side * 60.0, side * ROAD_HALF_M, _PAVING, PAVEMENT_SURFACE, y=KERB_M,
               brightness=bright)
    _strip(view, -ROAD_HALF_M, ROAD_HALF_M, _ASPHALT, ROAD_SURFACE)
    for side, bright in brightness.items():
        edge = side * ROAD_HALF_M
        _strip(view, edge, edge, _KERB, PAVEMENT_SURFACE, y1=KERB_M, brightness=0.8 * bright)
        _strip(view, side * (ROAD_HALF_M + 0.22), edge, _KERB, PAVEMENT_SURFACE, y=KERB_M,
               brightness=0.8 * bright)


def _paint_plot(view: View, plot: Plot) -> None:
    """Paint what a plot lays on the ground: lawn, side road, the shadow of its house."""
    side = plot.side
    if plot.kind == 'park':
        _quad(view, side * (FACADE_X_M + 0.1), side * 45.0, plot.s0, plot.s1, _GRASS,
              GRASS_SURFACE, y=KERB_M)
    elif plot.kind == 'gap':
        _quad(view, side * (ROAD_HALF_M - 0.1), side * 60.0, plot.s0 + 2.0, plot.s1 - 2.0,
              _ASPHALT, ROAD_SURFACE, brightness=0.97)
    elif plot.kind == 'house' and side == view.light.sun_side:
        height = make_house(plot.seed, plot.s1 - plot.s0).height
        reach = min(-FACADE_X_M + 0.95 * height, ROAD_HALF_M)
        if reach > -ROAD_HALF_M:
            _quad(view, side * ROAD_HALF_M, -side * reach, plot.s0, plot.s1, _ASPHALT,
                  ROAD_SURFACE, brightness=view.light.shadow)


def _paint_markings(view: View, motion: Motion) -> None:
    """Paint the centre line, the lines at the kerbs and the crossings."""
    here = view.camera.pose.s
    first = np.floor(here / 6.0) * 6.0
    for s in first + 6.0 * np.arange(0.0, 16.0):
        if s + 3.0 > here + NEAR_M:
            view.face(np.array([-0.06, 0.06, 0.06, -0.06]), 0.0,
                      s + np.array([0.0, 0.0, 3.0, 3.0]), _PAINT, ROAD_SURFACE, view.distance(s))
    for side in (-1, 1):
        for x in (4.55, 4.75):
            _strip(view, side * x, side * (x + 0.07), _YELLOW, ROAD_SURFACE, end_m=60.0)
    for cycle in motion.stop_cycles(here - 10.0, here + 90.0):
        stop_s = motion.stop_line_s(cycle)
        _quad(view, -ROAD_HALF_M + 0.5, 0.0, stop_s + 3.4, stop_s + 3.7, _PAINT, ROAD_SURFACE)
        for x in np.arange(-4.5, 4.4, 1.2):
            _quad(view, x, x + 0.6, stop_s + 5.0, stop_s + 7.8, _PAINT, ROAD_SURFACE)
