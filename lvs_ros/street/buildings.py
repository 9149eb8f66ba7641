# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""House fronts with windows and shops, roofs, chimneys, and the ends that face the camera."""

from __future__ import annotations

import dataclasses
import functools
import random
from collections.abc import Sequence

import numpy as np

from lvs_ros.street.camera import NEAR_M
from lvs_ros.street.painter import fixed_point
from lvs_ros.street.surfaces import BUILDING, WALL_SURFACE
from lvs_ros.street.view import View

Colour = tuple[float, float, float]
Rectangle = tuple[float, float, float, float]
"""On the front: s0, s1 (from where it begins), y0, y1 in metres."""
Layer = tuple[Sequence[float], Sequence[Rectangle] | np.ndarray]
"""A colour and rectangles, at least one, or (N, 4)."""

_WALLS = ((150, 118, 92), (122, 84, 66), (168, 150, 120), (186, 178, 164), (140, 126, 108),
          (108, 74, 60), (200, 196, 188), (158, 152, 146), (130, 104, 74), (176, 160, 138))
_ROOFS = ((74, 66, 64), (92, 66, 56), (66, 68, 74))
_FASCIAS = ((32, 44, 96), (120, 26, 30), (24, 70, 52), (40, 36, 36), (190, 184, 170),
            (150, 110, 30), (70, 30, 70))

DETAIL_M = 55.0
"""Farther houses have no glazing bars and letters: they would be smaller than a pixel."""


@dataclasses.dataclass(frozen=True)
class House:
    """The look of a house; lengths in metres."""

    height: float
    setback: float
    wall: Colour
    roof: Colour
    roof_rise: float
    chimney: float | None
    layers: tuple[Layer, ...]
    """Painted in this order."""
    far_layers: int
    """How many of the layers are worth painting far away."""
    rectangles: np.ndarray
    """Those of all layers, (N, 4)."""


def _shade(colour: tuple[int, int, int], draw: random.Random) -> Colour:
    gain = draw.uniform(0.7, 1.08)
    return tuple(part * gain + draw.uniform(-8.0, 8.0) for part in colour)  # type: ignore


@functools.lru_cache(maxsize=512)
def make_house(seed: int, length: float) -> House:
    """Draw the look of a house from its own seed."""
    draw = random.Random(seed)
    storeys = draw.choices((2, 3, 4, 5), weights=(3, 5, 4, 1))[0]
    storey_m = draw.uniform(2.8, 3.4)
    ground_m = draw.uniform(3.2, 4.0)
    height = ground_m + (storeys - 1) * storey_m + draw.uniform(0.2, 0.9)
    wall = _shade(draw.choice(_WALLS), draw)
    windows = _windows(draw, storeys, storey_m, ground_m, length)
    lit = np.array([draw.random() < 0.3 for _ in windows], bool)
    frame_colour = draw.choice(((205, 202, 196), (225, 222, 216), (70, 66, 64)))
    dark = draw.uniform(24.0, 50.0)
    if draw.random() < 0.62:
        ground_floor, details = _shop(draw, ground_m, length)
    else:
        ground_floor, details = _dwelling(draw, ground_m, length, frame_colour), []
    layers: list[Layer] = [
        (frame_colour, windows + np.array([-0.12, 0.12, -0.16, 0.1])), *ground_floor,
        ((dark, dark + 2, dark + 6), windows[~lit]),
        ((dark + 50, dark + 56, dark + 66), windows[lit])]
    s0, s1, y0, y1 = windows.T
    centre, middle = 0.5 * (s0 + s1), 0.5 * (y0 + y1)
    pipe_at = draw.uniform(0.1, 0.4)
    details = [
        (frame_colour, np.stack([s0, s1, middle - 0.04, middle + 0.04], axis=1)),
        (frame_colour, np.stack([centre - 0.04, centre + 0.04, y0, y1], axis=1)),
        (tuple(0.75 * part for part in wall), [(0.0, length, height - 0.35, height - 0.12)]),
        *details, ((44, 42, 42), [(pipe_at, pipe_at + 0.12, 0.0, height - 0.2)])]
    return House(
        height=height, setback=draw.choice((0.0, 0.0, 0.25, 0.5)), wall=wall,
        roof=_shade(draw.choice(_ROOFS), draw),
        roof_rise=draw.choice((0.0, draw.uniform(2.0, 3.6))),
        chimney=draw.uniform(1.0, length - 2.0) if draw.random() < 0.5 else None,
        layers=(*layers, *details), far_layers=len(layers),
        rectangles=np.concatenate([rectangles for _, rectangles in layers + details]))


def _windows(draw: random.Random, storeys: int, storey_m: float, ground_m: float,
             length: float) -> np.ndarray:
    """Return the panes of the upper storeys, (N, 4)."""
    count = max(2, int(length / draw.uniform(2.0, 3.4)))
    pitch = length / count
    wide = pitch * draw.uniform(0.38, 0.62)
    tall = storey_m * draw.uniform(0.48, 0.64)
    starts = [(column + 0.5) * pitch - 0.5 * wide for column in range(count)]
    bottoms = [ground_m + storey * storey_m + 0.7 for storey in range(storeys - 1)]
    return np.array([(start, start + wide, bottom, bottom + tall)
                     for bottom in bottoms for start in starts])


def _shop(draw: random.Random, ground_m: float, length: float
          ) -> tuple[list[Layer], list[Layer]]:
    """Return the layers of a shop on the ground floor, and its details."""
    fascia = draw.choice(_FASCIAS)
    glass = draw.uniform(26.0, 60.0)
    door = draw.uniform(0.3, length - 1.6)
    pitch = length / max(2, int(length / 2.2))
    panes = [(column * pitch + 0.12, (column + 1) * pitch - 0.12, 0.5, ground_m - 1.0)
             for column in range(int(round(length / pitch)))]
    goods = [(s0 + 0.2, s1 - 0.3, y0, y0 + draw.uniform(0.4, 1.3)) for s0, s1, y0, _ in panes]
    letters: list[Rectangle] = []
    at = draw.uniform(0.8, 2.0)
    while at < length - 1.2 and len(letters) < 9:
        letters.append((at, at + draw.uniform(0.25, 0.5), ground_m - 0.68, ground_m - 0.3))
        at += 0.65
    stock = (draw.uniform(50, 150), draw.uniform(50, 130), draw.uniform(40, 120))
    layers: list[Layer] = [
        (tuple(0.7 * part for part in fascia), [(0.0, length, 0.0, ground_m - 0.9)]),
        ((glass, glass + 4, glass + 8), panes),
        (fascia, [(0.0, length, ground_m - 0.95, ground_m - 0.1)]),
        ((18, 18, 20), [(door, door + 1.1, 0.0, ground_m - 1.1)])]
    light = 215 if sum(fascia) < 360 else 40
    return layers, [(stock, goods), ((light,) * 3, letters)]


def _dwelling(draw: random.Random, ground_m: float, length: float,
              frame_colour: tuple[int, int, int]) -> list[Layer]:
    door = draw.uniform(0.6, 1.6)
    glass = draw.uniform(28.0, 60.0)
    panes = []
    at = door + 1.9
    while at + 1.5 < length:
        panes.append((at, at + 1.3, 0.95, ground_m - 0.8))
        at += draw.uniform(2.1, 2.9)
    layers: list[Layer] = [
        (frame_colour, [(door - 0.12, door + 1.12, 0.0, 2.5)]),
        (tuple(draw.uniform(20.0, 120.0) for _ in range(3)), [(door, door + 1.0, 0.1, 2.35)])]
    if panes:
        layers += [(frame_colour, np.array(panes) + np.array([-0.1, 0.1, -0.15, 0.1])),
                   ((glass, glass + 3, glass + 7), panes)]
    return layers


def draw_house(view: View, *, side: int, s0: float, s1: float, seed: int, x: float) -> None:
    """Draw one house.

    :param side: -1 left, 1 right.
    :param s0, s1: where it begins and ends along the road, metres.
    :param x: distance of its front from the centre line, metres.
    """
    if view.distance(s1) < NEAR_M:
        return
    canvas, light = view.canvas, view.light
    house = make_house(seed, s1 - s0)
    front = side * (x + house.setback)
    eaves, ridge = house.height, house.height + house.roof_rise
    # One projection: four corners of the wall, two of the ridge, five of the end.
    points = view.camera.project(
        front + side * np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 9.0, 9.0, 4.5, 0.0]),
        np.array([0.0, 0.0, eaves, eaves, ridge, ridge, 0.0, 0.0, eaves, ridge, eaves]),
        np.array([s0, s1, s1, s0, s0, s1, s0, s0, s0, s0, s0]))
    outline, wall_front, end = points[:6], points[:4], points[6:]
    ahead = view.distance(s0)
    show_front, show_end = canvas.visible(outline), ahead > NEAR_M and canvas.visible(end)
    distance = max(view.distance(0.5 * (s0 + s1)), NEAR_M)
    bright = light.facade_brightness(side)
    if house.roof_rise and (show_front or show_end):
        _draw_roof(view, house, front, side, s0, s1, distance)
    if show_end:
        wall = tuple(0.82 * part for part in house.wall)
        canvas.polygons(end[None], light.tone(wall, ahead, 0.85 * light.shadow + 0.1), BUILDING)
    if not show_front:
        return
    canvas.convex(wall_front, light.tone(house.wall, distance, bright), WALL_SURFACE)
    layers = house.layers if distance < DETAIL_M else house.layers[:house.far_layers]
    # One projection for all: points behind the camera are projected to outside the picture.
    corners = fixed_point(view.camera.project(front, house.rectangles[:, [2, 2, 3, 3]],
                                              s0 + house.rectangles[:, [0, 1, 1, 0]]))
    first = 0
    for colour, rectangles in layers:
        canvas.fixed_polygons(corners[first:first + len(rectangles)],
                              light.tone(colour, distance, bright), WALL_SURFACE)
        first += len(rectangles)


def _draw_roof(view: View, house: House, front: float, side: int, s0: float, s1: float,
               distance: float) -> None:
    eaves, ridge = house.height - 0.1, house.height + house.roof_rise
    view.face(front + side * np.array([-0.3, -0.3, 4.5, 4.5]),
              np.array([eaves, eaves, ridge, ridge]), np.array([s0, s1, s1, s0]), house.roof,
              BUILDING, distance, view.light.facade_brightness(side))
    if house.chimney is not None and view.distance(s0 + house.chimney) > NEAR_M:
        place = s0 + house.chimney
        up = np.array([ridge - 1.0, ridge - 1.0, ridge + 1.1, ridge + 1.1])
        view.face(front + side * np.array([3.7, 5.3, 5.3, 3.7]), up, place, (120, 84, 66),
                  BUILDING, distance)
        view.face(front + side * 3.7, up, place + np.array([0.0, 1.0, 1.0, 0.0]), (100, 70, 58),
                  BUILDING, distance)
