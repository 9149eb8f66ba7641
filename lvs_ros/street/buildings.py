# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""House fronts with windows and shops, roofs, chimneys, and the ends that face the camera."""

from __future__ import annotations

import dataclasses
import functools
import random
from collections.abc import Sequence

import numpy as np

from lvs_ros.street.camera import NEAR_M, Camera
from lvs_ros.street.light import Light
from lvs_ros.street.painter import Canvas, fixed_point
from lvs_ros.street.surfaces import BUILDING, WALL_SURFACE

Layer = tuple[Sequence[float], np.ndarray]
"""A colour and (N, 4) rectangles on the front: s0, s1 (from where it begins), y0, y1 in metres."""

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

    length: float
    height: float
    setback: float
    wall: tuple[float, float, float]
    roof: tuple[float, float, float]
    roof_rise: float
    chimney: float | None
    layers: tuple[Layer, ...]
    """Painted in this order."""
    far_layers: int
    """How many of the layers are worth painting far away."""
    along: np.ndarray
    up: np.ndarray
    """Corners of all rectangles of all layers, (N, 4)."""


def _shade(colour: tuple[int, int, int], draw: random.Random) -> tuple[float, float, float]:
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
    windows, frames = _windows(draw, storeys, storey_m, ground_m, length)
    lit = np.array([draw.random() < 0.3 for _ in windows], bool)
    frame_colour = draw.choice(((205, 202, 196), (225, 222, 216), (70, 66, 64)))
    dark = draw.uniform(24.0, 50.0)
    layers: list[Layer] = []
    details: list[Layer] = [(frame_colour, frames)]
    if draw.random() < 0.62:
        shop_layers, shop_details = _shop(draw, ground_m, length)
    else:
        shop_layers, shop_details = _dwelling(draw, ground_m, length, frame_colour)
    layers += shop_layers
    layers += [((dark, dark + 2, dark + 6), windows[~lit]),
               ((dark + 50, dark + 56, dark + 66), windows[lit])]
    cross = windows.copy()
    middle = 0.5 * (windows[:, 2] + windows[:, 3])
    cross[:, 2], cross[:, 3] = middle - 0.04, middle + 0.04
    bar = windows.copy()
    centre = 0.5 * (windows[:, 0] + windows[:, 1])
    bar[:, 0], bar[:, 1] = centre - 0.04, centre + 0.04
    overlays: list[Layer] = [(frame_colour, cross), (frame_colour, bar)]
    band = np.array([[0.0, length, height - 0.35, height - 0.12]])
    overlays += [(tuple(0.75 * part for part in wall), band)] + shop_details
    pipe_at = draw.uniform(0.1, 0.4)
    overlays += [((44, 42, 42), np.array([[pipe_at, pipe_at + 0.12, 0.0, height - 0.2]]))]
    painted = (*details, *layers, *overlays)
    along, up = _corners(np.concatenate([rectangles for _, rectangles in painted]))
    return House(
        length=length, height=height, setback=draw.choice((0.0, 0.0, 0.25, 0.5)), wall=wall,
        roof=_shade(draw.choice(_ROOFS), draw),
        roof_rise=draw.choice((0.0, draw.uniform(2.0, 3.6))),
        chimney=draw.uniform(1.0, length - 2.0) if draw.random() < 0.5 else None,
        layers=painted, far_layers=len(details) + len(layers), along=along, up=up)


def _windows(draw: random.Random, storeys: int, storey_m: float, ground_m: float,
             length: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the panes of the upper storeys and the frames around them."""
    count = max(2, int(length / draw.uniform(2.0, 3.4)))
    pitch = length / count
    wide = pitch * draw.uniform(0.38, 0.62)
    tall = storey_m * draw.uniform(0.48, 0.64)
    panes = []
    for storey in range(storeys - 1):
        bottom = ground_m + storey * storey_m + 0.7
        for column in range(count):
            start = (column + 0.5) * pitch - 0.5 * wide
            panes.append((start, start + wide, bottom, bottom + tall))
    windows = np.array(panes)
    return windows, windows + np.array([-0.12, 0.12, -0.16, 0.1])


def _shop(draw: random.Random, ground_m: float, length: float
          ) -> tuple[list[Layer], list[Layer]]:
    fascia = draw.choice(_FASCIAS)
    glass = draw.uniform(26.0, 60.0)
    door = draw.uniform(0.3, length - 1.6)
    panes = []
    pitch = length / max(2, int(length / 2.2))
    for column in range(int(round(length / pitch))):
        panes.append((column * pitch + 0.12, (column + 1) * pitch - 0.12, 0.5, ground_m - 1.0))
    goods = [(s0 + 0.2, s1 - 0.3, y0, y0 + draw.uniform(0.4, 1.3)) for s0, s1, y0, _ in panes]
    letters: list[tuple[float, float, float, float]] = []
    at = draw.uniform(0.8, 2.0)
    while at < length - 1.2 and len(letters) < 9:
        letters.append((at, at + draw.uniform(0.25, 0.5), ground_m - 0.68, ground_m - 0.3))
        at += 0.65
    stock = (draw.uniform(50, 150), draw.uniform(50, 130), draw.uniform(40, 120))
    layers: list[Layer] = [
        (tuple(0.7 * part for part in fascia), np.array([[0.0, length, 0.0, ground_m - 0.9]])),
        ((glass, glass + 4, glass + 8), np.array(panes)),
        (fascia, np.array([[0.0, length, ground_m - 0.95, ground_m - 0.1]])),
        ((18, 18, 20), np.array([[door, door + 1.1, 0.0, ground_m - 1.1]]))]
    light = 215 if sum(fascia) < 360 else 40
    return layers, [(stock, np.array(goods)), ((light,) * 3, np.array(letters))]


def _dwelling(draw: random.Random, ground_m: float, length: float,
              frame_colour: tuple[int, int, int]) -> tuple[list[Layer], list[Layer]]:
    door = draw.uniform(0.6, 1.6)
    glass = draw.uniform(28.0, 60.0)
    panes = []
    at = door + 1.9
    while at + 1.5 < length:
        panes.append((at, at + 1.3, 0.95, ground_m - 0.8))
        at += draw.uniform(2.1, 2.9)
    colour = tuple(draw.uniform(20.0, 120.0) for _ in range(3))
    layers: list[Layer] = [
        (frame_colour, np.array([[door - 0.12, door + 1.12, 0.0, 2.5]])),
        (colour, np.array([[door, door + 1.0, 0.1, 2.35]]))]
    if panes:
        windows = np.array(panes)
        layers += [(frame_colour, windows + np.array([-0.1, 0.1, -0.15, 0.1])),
                   ((glass, glass + 3, glass + 7), windows)]
    return layers, []


def _corners(rectangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rectangles[:, [0, 1, 1, 0]], rectangles[:, [2, 2, 3, 3]]


def draw_house(canvas: Canvas, camera: Camera, light: Light, *, side: int, s0: float, s1: float,
               seed: int, x: float) -> None:
    """Draw one house.

    :param side: -1 left, 1 right.
    :param s0, s1: where it begins and ends along the road, metres.
    :param x: distance of its front from the centre line, metres.
    """
    if s1 - camera.pose.s < NEAR_M:
        return
    house = make_house(seed, s1 - s0)
    front = side * (x + house.setback)
    eaves, ridge = house.height, house.height + house.roof_rise
    # One projection: four corners of the wall, two of the ridge, five of the end.
    points = camera.project(
        front + side * np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 9.0, 9.0, 4.5, 0.0]),
        np.array([0.0, 0.0, eaves, eaves, ridge, ridge, 0.0, 0.0, eaves, ridge, eaves]),
        np.array([s0, s1, s1, s0, s0, s1, s0, s0, s0, s0, s0]))
    outline, wall_front, end = points[:6], points[:4], points[6:]
    ahead = s0 - camera.pose.s
    show_front, show_end = canvas.visible(outline), ahead > NEAR_M and canvas.visible(end)
    distance = max(0.5 * (s0 + s1) - camera.pose.s, NEAR_M)
    bright = light.facade_brightness(side)
    if house.roof_rise and (show_front or show_end):
        _draw_roof(canvas, camera, light, house, front, side, s0, distance)
    if show_end:
        wall = tuple(0.82 * part for part in house.wall)
        canvas.polygon(end, light.tone(wall, ahead, brightness=0.85 * light.shadow + 0.1),
                       BUILDING)
    if not show_front:
        return
    canvas.convex(wall_front, light.tone(house.wall, distance, brightness=bright), WALL_SURFACE)
    layers = house.layers if distance < DETAIL_M else house.layers[:house.far_layers]
    # One projection for all: what lies behind the camera collapses outside the picture.
    corners = fixed_point(camera.project(front, house.up, s0 + house.along))
    first = 0
    for colour, rectangles in layers:
        canvas.fixed_polygons(corners[first:first + len(rectangles)],
                              light.tone(colour, distance, brightness=bright), WALL_SURFACE)
        first += len(rectangles)


def _draw_roof(canvas: Canvas, camera: Camera, light: Light, house: House, front: float,
               side: int, s0: float, distance: float) -> None:
    ridge = house.height + house.roof_rise
    x = front + side * np.array([-0.3, -0.3, 4.5, 4.5])
    y = np.array([house.height - 0.1, house.height - 0.1, ridge, ridge])
    s = s0 + np.array([0.0, house.length, house.length, 0.0])
    tone = light.tone(house.roof, distance, brightness=light.facade_brightness(side))
    canvas.convex(camera.project(x, y, s), tone, BUILDING)
    if house.chimney is not None and s0 + house.chimney - camera.pose.s > NEAR_M:
        place = s0 + house.chimney
        stack = camera.project(front + side * np.array([3.7, 5.3, 5.3, 3.7]),
                               np.array([ridge - 1.0, ridge - 1.0, ridge + 1.1, ridge + 1.1]),
                               place)
        canvas.convex(stack, light.tone((120, 84, 66), distance), BUILDING)
        face = camera.project(front + side * 3.7,
                              np.array([ridge - 1.0, ridge - 1.0, ridge + 1.1, ridge + 1.1]),
                              place + np.array([0.0, 1.0, 1.0, 0.0]))
        canvas.convex(face, light.tone((100, 70, 58), distance), BUILDING)
