# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Pedestrians who walk and bicyclists who ride, drawn in the plane that faces the camera."""

from __future__ import annotations

import dataclasses
import functools
import math
import random
from collections.abc import Sequence

from lvs_ros.street.camera import Camera
from lvs_ros.street.light import Light
from lvs_ros.street.painter import Canvas
from lvs_ros.street.surfaces import BICYCLIST, PEDESTRIAN
from lvs_ros.street.upright import Point, Upright

_CLOTHES = ((28, 28, 34), (44, 46, 60), (20, 26, 44), (66, 58, 50), (84, 30, 32), (90, 92, 96),
            (36, 54, 44), (120, 112, 98), (24, 24, 26), (50, 36, 34))
_TROUSERS = ((24, 24, 30), (38, 42, 62), (52, 48, 44), (30, 30, 32))
_SKINS = ((196, 156, 132), (168, 124, 98), (120, 84, 64))


@dataclasses.dataclass(frozen=True)
class Person:
    """The look of a person; height in metres."""

    height: float
    build: float
    coat: tuple[int, int, int]
    trousers: tuple[int, int, int]
    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    phase: float
    bag: bool


@functools.lru_cache(maxsize=512)
def make_person(seed: int) -> Person:
    """Draw a person from the person's own seed."""
    draw = random.Random(seed)
    coat = draw.choice(_CLOTHES)
    if draw.random() < 0.08:
        coat = draw.choice(((190, 200, 40), (170, 60, 40), (190, 190, 190)))
    return Person(height=draw.uniform(1.5, 1.9), build=draw.uniform(0.9, 1.15), coat=coat,
                  trousers=draw.choice(_TROUSERS), skin=draw.choice(_SKINS),
                  hair=draw.choice(((30, 24, 20), (60, 44, 30), (110, 100, 90))),
                  phase=draw.uniform(0.0, 2.0 * math.pi), bag=draw.random() < 0.3)


_SIMPLE_M = 36.0
"""Farther pedestrians are three shapes."""


class _Figure(Upright):
    """An upright plane on which everything is one person."""

    def __init__(self, canvas: Canvas, camera: Camera, light: Light, *, x: float, y: float,
                 s: float, surface: int) -> None:
        super().__init__(canvas, camera, light, x=x, y=y, s=s)
        self._surface = surface

    def part(self, points: Sequence[Point], colour: Sequence[float],
             brightness: float = 1.0) -> None:
        self.shape(points, colour, self._surface, brightness)

    def bone(self, start: Point, end: Point, width: float, colour: Sequence[float],
             brightness: float = 1.0) -> None:
        self.limb(start, end, width, colour, self._surface, brightness)

    def ball(self, centre: Point, radius_x: float, radius_y: float, colour: Sequence[float],
             brightness: float = 1.0) -> None:
        self.disc(*centre, radius_x, radius_y, colour, self._surface, brightness)


def draw_pedestrian(canvas: Canvas, camera: Camera, light: Light, *, person: Person, x: float,
                    y: float, s: float, walked_m: float, direction: int,
                    sideways: bool = False) -> None:
    """Draw a pedestrian.

    :param walked_m: how far the person has walked; it moves the legs.
    :param direction: 1: shows the back, -1: the face (or, sideways, to the right or left).
    :param sideways: whether the person walks across the picture.
    """
    figure = _Figure(canvas, camera, light, x=x, y=y, s=s, surface=PEDESTRIAN)
    if not figure.visible(0.8, person.height):
        return
    size = person.height / 1.75
    wide = person.build * size
    if figure.distance > _SIMPLE_M:
        figure.part([(-0.13 * wide, 0.0), (0.13 * wide, 0.0), (0.2 * wide, 0.85 * size),
                     (-0.2 * wide, 0.85 * size)], person.trousers)
        figure.part([(-0.26 * wide, 0.8 * size), (0.26 * wide, 0.8 * size),
                     (0.22 * wide, 1.46 * size), (-0.22 * wide, 1.46 * size)], person.coat)
        figure.part([(-0.09, 1.44 * size), (0.09, 1.44 * size), (0.09, 1.75 * size),
                     (-0.09, 1.75 * size)], person.hair if direction > 0 else person.skin)
        return
    swing = math.sin(4.2 * walked_m / size + person.phase)
    stride = 0.30 * swing * size if sideways else 0.0
    lift = 0.10 * swing if not sideways else 0.0
    hip, shoulder = 0.88 * size, 1.45 * size
    base = 0.0 if sideways else 0.09 * wide
    figure.bone((-base * 0.9, hip), (-base - stride, max(0.0, lift)), 0.16 * wide,
                person.trousers, 0.85)
    figure.bone((base * 0.9, hip), (base + stride, max(0.0, -lift)), 0.16 * wide,
                person.trousers)
    half = (0.15 if sideways else 0.23) * wide
    arm = 0.22 * swing * size
    figure.bone((-half, shoulder - 0.06), (-half - 0.05 + (arm if sideways else 0.0),
                                           0.85 * size + 0.4 * max(arm, 0.0)), 0.11 * wide,
                person.coat, 0.8)
    figure.part([(-half, shoulder), (half, shoulder), (half * 1.02, 0.8 * size),
                 (-half * 1.02, 0.8 * size)], person.coat)
    figure.bone((half, shoulder - 0.06), (half + 0.05 - (arm if sideways else 0.0),
                                          0.85 * size + 0.4 * max(-arm, 0.0)), 0.11 * wide,
                person.coat, 0.9)
    if person.bag:
        figure.part([(half, 1.0 * size), (half + 0.16, 1.0 * size), (half + 0.18, 0.65 * size),
                     (half, 0.65 * size)], person.trousers, 1.2)
    face = person.hair if direction > 0 and not sideways else person.skin
    figure.ball((0.0, 1.6 * size), 0.095 * size, 0.14 * size, face)
    figure.ball((0.0, 1.67 * size), 0.1 * size, 0.085 * size, person.hair)


def draw_bicyclist(canvas: Canvas, camera: Camera, light: Light, *, person: Person, x: float,
                   s: float, ridden_m: float, direction: int) -> None:
    """Draw a bicyclist from behind (direction 1) or from the front (-1).

    :param ridden_m: how far the person has ridden; it turns the pedals.
    """
    figure = _Figure(canvas, camera, light, x=x, y=0.0, s=s, surface=BICYCLIST)
    if not figure.visible(0.8, 2.0):
        return
    turn = math.sin(1.9 * ridden_m + person.phase)
    lean = 0.02 * turn
    metal = (36, 36, 40)
    figure.ball((0.0, 0.34), 0.035, 0.34, (18, 18, 20))
    figure.bone((0.0, 0.5), (lean, 0.95), 0.05, metal)
    for sign in (-1.0, 1.0):
        knee = (sign * 0.13, 0.72 + 0.09 * sign * turn)
        foot = (sign * 0.11, 0.30 + 0.15 * sign * turn)
        figure.bone((sign * 0.09 + lean, 1.0), knee, 0.15, person.trousers)
        figure.bone(knee, foot, 0.12, person.trousers, 0.85)
        figure.bone((sign * 0.19 + lean, 1.42), (sign * 0.27, 1.06), 0.1, person.coat, 0.85)
    figure.bone((-0.28, 1.05), (0.28, 1.05), 0.045, metal)
    wide = 0.21 * person.build
    figure.part([(-wide + lean, 1.5), (wide + lean, 1.5), (0.17 + lean, 0.96),
                 (-0.17 + lean, 0.96)], person.coat)
    face = person.hair if direction > 0 else person.skin
    figure.ball((lean, 1.64), 0.09, 0.13, face)
    helmet = (150, 150, 156) if person.bag else person.hair
    figure.ball((lean, 1.71), 0.105, 0.085, helmet)
    lamp = (200, 30, 26) if direction > 0 else (240, 240, 220)
    figure.ball((0.0, 0.78), 0.035, 0.035, lamp, 1.4)
