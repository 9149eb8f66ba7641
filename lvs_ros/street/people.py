# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Pedestrians who walk and bicyclists who ride, drawn in the plane that faces the camera."""

from __future__ import annotations

import dataclasses
import functools
import math
import random

from lvs_ros.street.surfaces import BICYCLIST, PEDESTRIAN
from lvs_ros.street.upright import Upright
from lvs_ros.street.view import View

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


def draw_pedestrian(view: View, *, person: Person, x: float, y: float, s: float, walked_m: float,
                    direction: int, sideways: bool = False) -> None:
    """Draw a pedestrian.

    :param walked_m: how far the person has walked; it moves the legs.
    :param direction: 1: shows the back, -1: the face (or, sideways, to the right or left).
    :param sideways: whether the person walks across the picture.
    """
    figure = Upright(view, PEDESTRIAN, x=x, y=y, s=s)
    if not figure.visible(0.8, person.height):
        return
    size = person.height / 1.75
    wide = person.build * size
    if figure.distance > _SIMPLE_M:
        figure.trapezoid(0.0, 0.13 * wide, 0.85 * size, 0.2 * wide, person.trousers)
        figure.trapezoid(0.8 * size, 0.26 * wide, 1.46 * size, 0.22 * wide, person.coat)
        figure.trapezoid(1.44 * size, 0.09, 1.75 * size, 0.09,
                         person.hair if direction > 0 else person.skin)
        return
    swing = math.sin(4.2 * walked_m / size + person.phase)
    stride, lift = (0.30 * swing * size, 0.0) if sideways else (0.0, 0.10 * swing)
    base, half = (0.0, 0.15 * wide) if sideways else (0.09 * wide, 0.23 * wide)
    hip, shoulder = 0.88 * size, 1.45 * size
    arm = 0.22 * swing * size

    def draw_leg(sign: int, brightness: float) -> None:
        figure.limb((sign * base * 0.9, hip), (sign * (base + stride), max(0.0, -sign * lift)),
                    0.16 * wide, person.trousers, brightness)

    def draw_arm(sign: int, brightness: float) -> None:
        hand = half + 0.05 - (arm if sideways else 0.0)
        figure.limb((sign * half, shoulder - 0.06),
                    (sign * hand, 0.85 * size + 0.4 * max(-sign * arm, 0.0)), 0.11 * wide,
                    person.coat, brightness)

    draw_leg(-1, 0.85)
    draw_leg(1, 1.0)
    draw_arm(-1, 0.8)
    figure.trapezoid(shoulder, half, 0.8 * size, half * 1.02, person.coat)
    draw_arm(1, 0.9)
    if person.bag:
        figure.shape([(half, 1.0 * size), (half + 0.16, 1.0 * size), (half + 0.18, 0.65 * size),
                      (half, 0.65 * size)], person.trousers, 1.2)
    face = person.hair if direction > 0 and not sideways else person.skin
    figure.ellipse(0.0, 1.6 * size, 0.095 * size, 0.14 * size, face)
    figure.ellipse(0.0, 1.67 * size, 0.1 * size, 0.085 * size, person.hair)


def draw_bicyclist(view: View, *, person: Person, x: float, s: float, ridden_m: float,
                   direction: int) -> None:
    """Draw a bicyclist from behind (direction 1) or from the front (-1).

    :param ridden_m: how far the person has ridden; it turns the pedals.
    """
    figure = Upright(view, BICYCLIST, x=x, y=0.0, s=s)
    if not figure.visible(0.8, 2.0):
        return
    turn = math.sin(1.9 * ridden_m + person.phase)
    lean = 0.02 * turn
    metal = (36, 36, 40)
    figure.ellipse(0.0, 0.34, 0.035, 0.34, (18, 18, 20))
    figure.limb((0.0, 0.5), (lean, 0.95), 0.05, metal)
    for sign in (-1.0, 1.0):
        knee = (sign * 0.13, 0.72 + 0.09 * sign * turn)
        foot = (sign * 0.11, 0.30 + 0.15 * sign * turn)
        figure.limb((sign * 0.09 + lean, 1.0), knee, 0.15, person.trousers)
        figure.limb(knee, foot, 0.12, person.trousers, 0.85)
        figure.limb((sign * 0.19 + lean, 1.42), (sign * 0.27, 1.06), 0.1, person.coat, 0.85)
    figure.limb((-0.28, 1.05), (0.28, 1.05), 0.045, metal)
    figure.trapezoid(1.5, 0.21 * person.build, 0.96, 0.17, person.coat, lean)
    figure.ellipse(lean, 1.64, 0.09, 0.13, person.hair if direction > 0 else person.skin)
    figure.ellipse(lean, 1.71, 0.105, 0.085, (150, 150, 156) if person.bag else person.hair)
    lamp = (200, 30, 26) if direction > 0 else (240, 240, 220)
    figure.ellipse(0.0, 0.78, 0.035, 0.035, lamp, 1.4)
