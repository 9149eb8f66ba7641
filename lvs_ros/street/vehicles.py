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

from lvs_ros.street.camera import NEAR_M, Camera
from lvs_ros.street.light import Light
from lvs_ros.street.painter import Canvas, Colour, fixed_point
from lvs_ros.street.surfaces import CAR, ROAD_SURFACE
from lvs_ros.street.upright import Upright

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
    kind = draw.choices(('saloon', 'hatch', 'van', 'bus'),
                        weights=(5, 5, 1.2 if big else 0.4, 0.5 if big else 0.0))[0]
    shape, length, width = {'saloon': (_SALOON, 4.5, 1.76), 'hatch': (_HATCH, 3.95, 1.7),
                            'van': (_VAN, 4.9, 1.95), 'bus': (_BUS, 10.5, 2.45)}[kind]
    stretch = draw.uniform(0.95, 1.06)
    paint = draw.choice(_PAINTS)
    gain = draw.uniform(0.8, 1.15)
    stations = np.array(shape)
    stations[:, 1:4] *= draw.uniform(0.97, 1.06)
    length *= stretch
    offsets = np.empty((len(stations), 6, 3))
    across = np.ones((len(stations), 6))
    across[:, [0, 3]] = 0.97
    across[:, [2, 5]] = stations[:, 4:5]
    across[:, :3] *= -1.0
    offsets[..., 0] = 0.5 * width * across
    offsets[..., 1] = stations[:, [1, 2, 3, 1, 2, 3]]
    offsets[..., 2] = stations[:, :1] * length
    return Vehicle(length=length, width=width, stations=stations, offsets=offsets,
                   paint=tuple(part * gain for part in paint),  # type: ignore[arg-type]
                   is_cab=kind == 'van', wheel=0.46 if kind == 'bus' else 0.31)


def draw_vehicle(canvas: Canvas, camera: Camera, light: Light, *, vehicle: Vehicle, x: float,
                 s: float, direction: int, braking: bool = False) -> None:
    """Draw a vehicle.

    :param x: lateral place of its middle, metres.
    :param s: place of its near end along the road, metres.
    :param direction: 1: it shows its rear, -1: its front.
    """
    distance = s - camera.pose.s
    if distance + vehicle.length < NEAR_M:
        return
    half = 0.5 * vehicle.width
    box = camera.project(x + np.array([-half, half, -half, half]), np.array([0.0, 3.0, 0.0, 3.0]),
                         s + np.array([0.0, 0.0, vehicle.length, vehicle.length]))
    if not canvas.visible(box):
        return
    _draw_shadow(canvas, camera, light, x, half, s, vehicle.length)
    stations, offsets = vehicle.stations, vehicle.offsets
    if direction > 0:
        stations, offsets = stations[::-1], offsets[::-1] * (1.0, 1.0, -1.0) \
            + (0.0, 0.0, vehicle.length)
    # Rows: stations from near to far; columns: lower, waist, upper edge; left and right.
    rows = camera.project(x + offsets[..., 0], offsets[..., 1], s + offsets[..., 2])
    if distance > _SIMPLE_M:
        _draw_far(canvas, light, vehicle, rows, distance, direction)
        return
    _draw_body(canvas, light, vehicle, rows, stations, distance,
               right_visible=camera.pose.x > x + half,
               left_visible=camera.pose.x < x - half)
    _draw_wheels(canvas, camera, light, vehicle, x, half, s, distance)
    if distance > NEAR_M:
        _draw_end(canvas, camera, light, vehicle, rows[0], stations, x, s, direction, braking)


def _draw_shadow(canvas: Canvas, camera: Camera, light: Light, x: float, half: float, s: float,
                 length: float) -> None:
    along = s + np.array([-0.25, -0.25, length + 0.3, length + 0.3])
    across = x + np.array([-half - 0.1, half + 0.1, half + 0.1, -half - 0.1])
    canvas.convex(camera.project(np.clip(across, -4.93, 4.93), 0.0, along),
                  light.tone((20, 20, 22), s - camera.pose.s), ROAD_SURFACE)


def _draw_far(canvas: Canvas, light: Light, vehicle: Vehicle, rows: np.ndarray, distance: float,
              direction: int) -> None:
    """Draw the outline, the end and its window of a vehicle that is a few pixels wide."""
    outline = cv2.convexHull(rows.reshape(-1, 2).astype(np.float32))[:, 0]
    canvas.convex(outline, light.tone(vehicle.paint, distance, brightness=0.9), CAR)
    tallest = rows[int(np.argmin(rows[:, 2, 1]))]
    window = tallest[[1, 2, 5, 4]]
    middle = window.mean(axis=0)
    canvas.convex(middle + 0.8 * (window - middle), light.tone((46, 52, 58), distance), CAR)
    end = rows[0]
    lamp = (140, 22, 20) if direction > 0 else (236, 236, 226)
    for near, far in ((end[1], end[4]), (end[4], end[1])):
        inner = near + 0.16 * (far - near)
        drop = np.array([0.0, 0.05 * abs(far[0] - near[0])])
        canvas.convex(np.stack([near, inner, inner + drop, near + drop]),
                      light.tone(lamp, distance), CAR)


def _draw_body(canvas: Canvas, light: Light, vehicle: Vehicle, rows: np.ndarray,
               stations: np.ndarray, distance: float, *, right_visible: bool,
               left_visible: bool) -> None:
    def tone(colour: Sequence[float], brightness: float) -> Colour:
        return light.tone(colour, distance, brightness=brightness)

    paint = vehicle.paint
    glass = (26.0, 30.0, 34.0)
    upper = stations[:, 3]
    slopes = np.diff(upper)
    sides = [(0, 0.72)] * left_visible + [(3, 0.72)] * right_visible
    has_cabin = upper - stations[:, 2] > 0.05
    strips = {pair: _strip(rows, *pair) for pair in ((0, 1), (1, 2), (3, 4), (4, 5), (2, 5))}
    fixed = {pair: fixed_point(quads) for pair, quads in strips.items()}

    def fill(pair: tuple[int, int], at: int, colour: Sequence[float], brightness: float) -> None:
        canvas.fixed_polygons(fixed[pair][at:at + 1], tone(colour, brightness), CAR)

    def fill_pane(pair: tuple[int, int], at: int, part: float, colour: Sequence[float],
                  brightness: float) -> None:
        quad = strips[pair][at]
        middle = quad.mean(axis=0)
        canvas.polygon(middle + (quad - middle) * part, tone(colour, brightness), CAR)

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


def _draw_wheels(canvas: Canvas, camera: Camera, light: Light, vehicle: Vehicle, x: float,
                 half: float, s: float, distance: float) -> None:
    if distance > 70.0:
        return
    for sign in (-1.0, 1.0):
        if (camera.pose.x - x) * sign < half:
            # Seen from behind, only the tyre's tread shows below the body.
            if distance > NEAR_M:
                tread = camera.project(x + sign * (half - np.array([0.02, 0.2, 0.2, 0.02])),
                                       np.array([0.0, 0.0, 0.34, 0.34]), s + 0.5)
                canvas.convex(tread, light.tone((16, 16, 18), distance), CAR)
            continue
        for part in (0.18, 0.80):
            centre = s + part * vehicle.length
            if centre - camera.pose.s < 1.0:
                continue
            radius = vehicle.wheel * np.array([[1.0], [0.6]])
            rims = camera.project(x + sign * half, vehicle.wheel + radius * _SINES,
                                  centre + radius * _COSINES)
            for rim, colour in zip(rims, ((16, 16, 18), (92, 94, 98))):
                canvas.convex(rim, light.tone(colour, distance, brightness=0.8), CAR)


def _draw_end(canvas: Canvas, camera: Camera, light: Light, vehicle: Vehicle, row: np.ndarray,
              stations: np.ndarray, x: float, s: float, direction: int, braking: bool) -> None:
    distance = s - camera.pose.s
    half = 0.5 * vehicle.width
    face = row[[0, 1, 2, 5, 4, 3]]
    canvas.polygon(face, light.tone(vehicle.paint, distance, brightness=0.9), CAR)
    low, waist, top = stations[0, 1:4]
    if distance > 90.0:
        return

    end = Upright(canvas, camera, light, x=x, y=0.0, s=s)

    def box(x0: float, x1: float, y0: float, y1: float, colour: Sequence[float],
            brightness: float = 1.0) -> None:
        end.box(x0, x1, y0, y1, colour, CAR, brightness)

    box(-half * 0.94, half * 0.94, low, low + 0.16, (34, 34, 36))
    if top > waist + 0.4:
        box(-half * 0.84, half * 0.84, waist + 0.05, top - 0.12, (40, 46, 52))
    rear = direction > 0
    lamp = (((255, 40, 30) if braking else (140, 22, 20)) if rear else (236, 236, 226))
    height = min(waist, 0.95)
    for sign in (-1.0, 1.0):
        inner, outer = sign * half * 0.66, sign * half * 0.93
        box(inner, outer, height - 0.24, height - 0.06, lamp, 1.3)
    box(-0.26, 0.26, low + 0.2, low + 0.31, (214, 182, 60) if rear else (220, 220, 214))
    if not rear:
        box(-half * 0.5, half * 0.5, low + 0.34, low + 0.44, (24, 24, 26))
