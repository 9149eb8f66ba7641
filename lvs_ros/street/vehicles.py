# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Cars, vans and buses: lofted bodies with windows, wheels, lights, plates and a shadow."""

from __future__ import annotations

import dataclasses
import functools
import random
from collections.abc import Sequence

import cv2
import numpy as np

from lvs_ros.street.camera import NEAR_M
from lvs_ros.street.painter import fixed_point
from lvs_ros.street.surfaces import CAR, ROAD_SURFACE
from lvs_ros.street.upright import Upright
from lvs_ros.street.view import View

_PAINTS = ((28, 28, 32), (60, 62, 66), (150, 152, 156), (186, 188, 190), (96, 18, 22),
           (24, 34, 76), (110, 126, 146), (36, 60, 48), (205, 204, 200), (70, 72, 92),
           (130, 24, 26), (40, 40, 44))

# Stations from the front bumper to the rear: (part of the length, height of the lower edge,
# waist, height of the roof or bonnet, part of the half width at that upper edge).
_SALOON = ((0.0, .28, .62, .62, .92), (.03, .2, .74, .74, .93), (.27, .2, .92, .92, .93),
           (.44, .2, .94, 1.42, .72), (.70, .2, .96, 1.42, .72), (.86, .2, .98, .98, .93),
           (.98, .22, .94, .94, .93), (1.0, .3, .9, .9, .92))
_HATCH = ((0.0, .28, .66, .66, .92), (.03, .2, .78, .78, .93), (.24, .2, .96, .96, .93),
          (.42, .2, .98, 1.5, .74), (.84, .2, 1.0, 1.5, .74), (.97, .22, 1.02, 1.02, .93),
          (1.0, .3, .9, .9, .92))
_VAN = ((0.0, .32, .8, .8, .92), (.03, .22, .95, .95, .93), (.16, .22, 1.1, 1.1, .93),
        (.30, .22, 1.15, 2.05, .86), (.98, .22, 1.15, 2.1, .88), (1.0, .3, 1.1, 1.95, .88))
_SIMPLE_M = 42.0
"""Farther vehicles are drawn with fewer polygons."""

_BUS = ((0.0, .35, 1.3, 2.8, .96), (.01, .3, 1.3, 3.0, .97), (.99, .3, 1.3, 3.0, .97),
        (1.0, .4, 1.3, 2.9, .96))


_ANGLES = np.linspace(0.0, 2.0 * np.pi, 14, endpoint=False)
_SINES, _COSINES = np.sin(_ANGLES), np.cos(_ANGLES)


@dataclasses.dataclass(frozen=True)
class Vehicle:
    """The look of one vehicle; lengths in metres."""

    length: float
    width: float
    stations: np.ndarray
    offsets: np.ndarray
    """(stations, 6, 3): x, y, s of the edges, from the middle of the front bumper."""
    paint: tuple[float, float, float]
    is_cab: bool
    """Whether only the foremost side window is glass, as in a van."""
    wheel: float


@functools.lru_cache(maxsize=512)
def make_vehicle(seed: int, *, big: bool = True) -> Vehicle:
    """Draw a vehicle from its own seed.

    :param big: whether vans and buses are allowed.
    """
    draw = random.Random(seed)
    shape, length, width = draw.choices(
        ((_SALOON, 4.5, 1.76), (_HATCH, 3.95, 1.7), (_VAN, 4.9, 1.95), (_BUS, 10.5, 2.45)),
        weights=(5, 5, 1.2 if big else 0.4, 0.5 if big else 0.0))[0]
    stretch = draw.uniform(0.95, 1.06)
    paint = draw.choice(_PAINTS)
    gain = draw.uniform(0.8, 1.15)
    stations = np.array(shape)
    stations[:, 1:4] *= draw.uniform(0.97, 1.06)
    length *= stretch
    across = np.ones((len(stations), 6))
    across[:, [0, 3]] = 0.97
    across[:, [2, 5]] = stations[:, 4:5]
    across[:, :3] *= -1.0
    offsets = np.dstack([0.5 * width * across, stations[:, [1, 2, 3, 1, 2, 3]],
                         np.repeat(stations[:, :1] * length, 6, axis=1)])
    return Vehicle(length=length, width=width, stations=stations, offsets=offsets,
                   paint=tuple(part * gain for part in paint),  # type: ignore[arg-type]
                   is_cab=shape is _VAN, wheel=0.46 if shape is _BUS else 0.31)


def draw_vehicle(view: View, *, vehicle: Vehicle, x: float, s: float, direction: int,
                 braking: bool = False) -> None:
    """Draw a vehicle.

    :param x: lateral place of its middle, metres.
    :param s: place of its near end along the road, metres.
    :param direction: 1: it shows its rear, -1: its front.
    """
    distance = view.distance(s)
    if distance + vehicle.length < NEAR_M:
        return
    half = 0.5 * vehicle.width
    box = view.camera.project(x + np.array([-half, half, -half, half]),
                              np.array([0.0, 3.0, 0.0, 3.0]),
                              s + np.array([0.0, 0.0, vehicle.length, vehicle.length]))
    if not view.canvas.visible(box):
        return
    # The shadow beneath it.
    view.face(np.clip(x + np.array([-half - 0.1, half + 0.1, half + 0.1, -half - 0.1]),
                      -4.93, 4.93), 0.0,
              s + np.array([-0.25, -0.25, vehicle.length + 0.3, vehicle.length + 0.3]),
              (20, 20, 22), ROAD_SURFACE, distance)
    stations, offsets = vehicle.stations, vehicle.offsets
    if direction > 0:
        stations, offsets = stations[::-1], offsets[::-1] * (1.0, 1.0, -1.0) \
            + (0.0, 0.0, vehicle.length)
    # Rows: stations from near to far; columns: lower, waist, upper edge; left and right.
    rows = view.camera.project(x + offsets[..., 0], offsets[..., 1], s + offsets[..., 2])
    if distance > _SIMPLE_M:
        _draw_far(view, vehicle, rows, distance, direction)
        return
    _draw_body(view, vehicle, rows, stations, distance,
               right_visible=view.camera.pose.x > x + half,
               left_visible=view.camera.pose.x < x - half)
    _draw_wheels(view, vehicle, x, half, s)
    if distance > NEAR_M:
        _draw_end(view, vehicle, rows[0], stations, x, s, direction, braking)


def _lamp_colour(direction: int, braking: bool = False) -> tuple[int, int, int]:
    if direction > 0:
        return (255, 40, 30) if braking else (140, 22, 20)
    return 236, 236, 226


def _draw_far(view: View, vehicle: Vehicle, rows: np.ndarray, distance: float,
              direction: int) -> None:
    """Draw the outline, the end and its window of a vehicle that is a few pixels wide."""
    canvas, light = view.canvas, view.light
    outline = cv2.convexHull(rows.reshape(-1, 2).astype(np.float32))[:, 0]
    canvas.convex(outline, light.tone(vehicle.paint, distance, 0.9), CAR)
    window = rows[int(np.argmin(rows[:, 2, 1])), [1, 2, 5, 4]]
    canvas.convex(_shrunk(window, 0.8), light.tone((46, 52, 58), distance), CAR)
    left, right = rows[0, [1, 4]]
    drop = np.array([0.0, 0.05 * abs(right[0] - left[0])])
    for near, far in ((left, right), (right, left)):
        inner = near + 0.16 * (far - near)
        canvas.convex(np.stack([near, inner, inner + drop, near + drop]),
                      light.tone(_lamp_colour(direction), distance), CAR)


def _shrunk(polygon: np.ndarray, part: float) -> np.ndarray:
    middle = polygon.mean(axis=0)
    return middle + part * (polygon - middle)


def _draw_body(view: View, vehicle: Vehicle, rows: np.ndarray, stations: np.ndarray,
               distance: float, *, right_visible: bool, left_visible: bool) -> None:
    paint = vehicle.paint
    glass = (26.0, 30.0, 34.0)
    upper = stations[:, 3]
    slopes = np.diff(upper)
    sides = [(0, 0.72)] * left_visible + [(3, 0.72)] * right_visible
    has_cabin = upper - stations[:, 2] > 0.05
    strips = {pair: _strip(rows, *pair) for pair in ((0, 1), (1, 2), (3, 4), (4, 5), (2, 5))}
    fixed = {pair: fixed_point(quads) for pair, quads in strips.items()}

    def fill(pair: tuple[int, int], at: int, colour: Sequence[float], brightness: float) -> None:
        view.canvas.fixed_polygons(fixed[pair][at:at + 1],
                                   view.light.tone(colour, distance, brightness), CAR)

    def fill_pane(pair: tuple[int, int], at: int, part: float, colour: Sequence[float],
                  brightness: float) -> None:
        view.canvas.polygons(_shrunk(strips[pair][at], part)[None],
                             view.light.tone(colour, distance, brightness), CAR)

    for at in range(len(rows) - 2, -1, -1):
        is_cabin = bool(has_cabin[at] or has_cabin[at + 1])
        if not is_cabin:
            # The shoulders, from the waist in to the edge of bonnet or boot.
            fill((1, 2), at, paint, 0.95)
            fill((4, 5), at, paint, 0.95)
        for first, brightness in sides:
            fill((first, first + 1), at, paint, brightness)
            if is_cabin:
                closed = vehicle.is_cab and min(upper[at], upper[at + 1]) > 1.9
                fill((first + 1, first + 2), at, paint if closed else glass, 0.8 * brightness)
                if not closed:
                    fill_pane((first + 1, first + 2), at, 0.86, (48, 54, 60), brightness)
        fill((2, 5), at, paint, 1.18 if slopes[at] >= 0 else 1.05)
        if abs(slopes[at]) > 0.3 and stations[at, 0] not in (0.0, 1.0):
            fill_pane((2, 5), at, 0.88, (58, 66, 72), 1.0)


def _strip(rows: np.ndarray, first: int, second: int) -> np.ndarray:
    """Return the (N - 1, 4, 2) faces between two edges of the body."""
    return np.stack([rows[:-1, first], rows[1:, first], rows[1:, second], rows[:-1, second]],
                    axis=1)


def _draw_wheels(view: View, vehicle: Vehicle, x: float, half: float, s: float) -> None:
    distance = view.distance(s)
    for sign in (-1.0, 1.0):
        if (view.camera.pose.x - x) * sign < half:
            # Seen from behind, only the tyre's tread shows below the body.
            if distance > NEAR_M:
                view.face(x + sign * (half - np.array([0.02, 0.2, 0.2, 0.02])),
                          np.array([0.0, 0.0, 0.34, 0.34]), s + 0.5, (16, 16, 18), CAR, distance)
            continue
        for part in (0.18, 0.80):
            centre = s + part * vehicle.length
            if view.distance(centre) >= 1.0:
                for size, colour in ((1.0, (16, 16, 18)), (0.6, (92, 94, 98))):
                    radius = vehicle.wheel * size
                    view.face(x + sign * half, vehicle.wheel + radius * _SINES,
                              centre + radius * _COSINES, colour, CAR, distance, 0.8)


def _draw_end(view: View, vehicle: Vehicle, row: np.ndarray, stations: np.ndarray, x: float,
              s: float, direction: int, braking: bool) -> None:
    half = 0.5 * vehicle.width
    view.canvas.polygons(row[None, [0, 1, 2, 5, 4, 3]],
                         view.light.tone(vehicle.paint, view.distance(s), 0.9), CAR)
    low, waist, top = stations[0, 1:4]
    end = Upright(view, CAR, x=x, y=0.0, s=s)
    end.box(-half * 0.94, half * 0.94, low, low + 0.16, (34, 34, 36))
    if top > waist + 0.4:
        end.box(-half * 0.84, half * 0.84, waist + 0.05, top - 0.12, (40, 46, 52))
    height = min(waist, 0.95)
    for sign in (-1.0, 1.0):
        end.box(sign * half * 0.66, sign * half * 0.93, height - 0.24, height - 0.06,
                _lamp_colour(direction, braking), 1.3)
    end.box(-0.26, 0.26, low + 0.2, low + 0.31,
            (214, 182, 60) if direction > 0 else (220, 220, 214))
    if direction < 0:
        end.box(-half * 0.5, half * 0.5, low + 0.34, low + 0.44, (24, 24, 26))
