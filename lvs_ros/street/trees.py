# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Trees: a bank of grown crowns and bare winter trees, tinted and scaled to where they stand."""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np

from lvs_ros.street.camera import NEAR_M
from lvs_ros.street.light import Light
from lvs_ros.street.painter import packed_colours
from lvs_ros.street.randomness import mix
from lvs_ros.street.surfaces import TREE
from lvs_ros.street.view import View

_SIDE = 512
_LEVELS = 4
_LEAFY, _BARE, _HEDGE = range(3)
_VARIANTS = 5

_FAR_M = 130.0
"""Farther trees are lost in the haze."""

_AIR = 1
"""Shade of a pixel between twigs: labelled tree, showing what is behind (as CamVid labels it)."""

_LEAF_COLOURS = ((70, 84, 44), (84, 92, 50), (58, 72, 46), (96, 92, 56), (48, 62, 42))
_TWIG_COLOURS = ((92, 82, 72), (78, 70, 62), (104, 92, 76))


@functools.lru_cache(maxsize=32)
def _sprite(kind: int, variant: int) -> tuple[np.ndarray, ...]:
    """Return one tree as shades at halving sizes; 0 nothing, 1 air in the crown, 2.. wood, leaves.

    Shades 2..99 are wood, 100..255 leaves, each from dark to light.
    """
    generator = np.random.default_rng(1000 + 10 * kind + variant)
    picture = (_leafy, _bare, _hedge)[kind](generator)
    return tuple(np.ascontiguousarray(picture[::1 << level, ::1 << level])
                 for level in range(_LEVELS))


def _branch(picture: np.ndarray, generator: np.random.Generator, base: tuple[float, float],
            angle: float, length: float, width: float, tips: list[tuple[float, float]]) -> None:
    random = generator.random    # for one number, uniform() takes several times as long
    end = (base[0] + length * math.sin(angle), base[1] - length * math.cos(angle))
    shade = int(20 + 60 * random())
    cv2.line(picture, (int(base[0]), int(base[1])), (int(end[0]), int(end[1])), shade,
             max(1, int(width)))
    if length < 9.0:
        tips.append(end)
        return
    for _ in range(3 if length > 22 else 2):
        turn = generator.normal(0.0, 0.5)
        start = 0.6 + (1.0 - 0.6) * random()
        place = (base[0] + (end[0] - base[0]) * start, base[1] + (end[1] - base[1]) * start)
        _branch(picture, generator, place, 0.85 * angle + turn,
                length * (0.62 + (0.82 - 0.62) * random()), width * 0.62, tips)


def _bare(generator: np.random.Generator) -> np.ndarray:
    picture = np.zeros((_SIDE, _SIDE), np.uint8)
    tips: list[tuple[float, float]] = []
    middle = _SIDE / 2
    cv2.line(picture, (int(middle), _SIDE), (int(middle), int(0.66 * _SIDE)), 40, 17)
    for _ in range(5):
        _branch(picture, generator, (middle, generator.uniform(0.62, 0.74) * _SIDE),
                generator.normal(0.0, 0.5), generator.uniform(95, 125), 10.0, tips)
    # The crown's outline is where twigs are dense.
    crown = cv2.morphologyEx((picture > 0).astype(np.uint8), cv2.MORPH_CLOSE,
                             cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (21, 21)))
    picture[(picture == 0) & (crown > 0)] = _AIR
    haze = generator.random((_SIDE, _SIDE)) < 0.16
    picture[(picture == _AIR) & haze] = 50
    return picture


def _clump(picture: np.ndarray, generator: np.random.Generator, centre: tuple[float, float],
           radius: float) -> None:
    """Add leaves around a point, lighter above than below."""
    random = generator.random    # as above
    for _ in range(int(1.1 * radius)):
        angle, reach = 2 * math.pi * random(), radius * math.sqrt(random())
        u, v = centre[0] + reach * math.cos(angle), centre[1] + 0.8 * reach * math.sin(angle)
        shade = 165 - 60 * (v - centre[1]) / radius + generator.normal(0, 22)
        cv2.circle(picture, (int(u), int(v)), int(2 + 6 * random()),
                   int(min(max(shade, 102), 250)), -1)


def _leafy(generator: np.random.Generator) -> np.ndarray:
    picture = np.zeros((_SIDE, _SIDE), np.uint8)
    tips: list[tuple[float, float]] = []
    middle = _SIDE / 2
    cv2.line(picture, (int(middle), _SIDE), (int(middle), int(0.5 * _SIDE)), 40, 18)
    for _ in range(3):
        _branch(picture, generator, (middle, 0.6 * _SIDE), generator.normal(0, 0.5), 80, 8, tips)
    for _ in range(110):
        angle, reach = generator.uniform(0, 2 * math.pi), math.sqrt(generator.random())
        u = middle + 0.40 * _SIDE * reach * math.cos(angle)
        v = 0.38 * _SIDE + 0.31 * _SIDE * reach * math.sin(angle)
        _clump(picture, generator, (u, v), generator.uniform(18, 44))
    return picture


def _hedge(generator: np.random.Generator) -> np.ndarray:
    picture = np.zeros((_SIDE, _SIDE), np.uint8)
    for v in range(_SIDE - 20, 60, -22):
        for u in range(30, _SIDE - 10, 24):
            _clump(picture, generator, (u + generator.normal(0, 8), v + generator.normal(0, 6)),
                   generator.uniform(20, 34))
    return picture


@functools.lru_cache(maxsize=64)
def _shades(colour: tuple[int, int, int], wood: tuple[int, int, int]) -> np.ndarray:
    """Return the (256, 3) float32 colours of a sprite's shades before the light."""
    steps = np.arange(256, dtype=np.float32)[:, None]
    leaves = (steps - 60.0) / 100.0 * np.array(colour, np.float32)
    bark = (steps + 15.0) / 70.0 * np.array(wood, np.float32)
    return np.where(steps < 100, bark, leaves)


@functools.lru_cache(maxsize=2048)
def _lookup(light: Light, colour: tuple[int, int, int], wood: tuple[int, int, int],
            brightness: float, distance_m: int) -> np.ndarray:
    """Return the packed colours of a sprite's shades in the haze of whole metres."""
    clear = light.clearness(distance_m)
    gain = light.exposure * brightness * clear * np.array(light.tint, np.float32)
    colours = _shades(colour, wood) * gain + (1.0 - clear) * np.array(light.haze, np.float32)
    return packed_colours(np.clip(colours, 0, 255).astype(np.uint8), TREE)


def draw_tree(view: View, *, seed: int, x: float, s: float, height: float | None = None,
              hedge_width: float | None = None, brightness: float = 1.0) -> None:
    """Draw a tree or, with ``hedge_width`` (metres), a shrub.

    :param height: in metres; None: drawn from the seed.
    """
    distance = view.distance(s)
    if not 1.5 * NEAR_M <= distance < _FAR_M:
        return
    code = mix(seed)
    tall = height if height is not None else 5.5 + (code & 255) / 255.0 * 4.5
    wide = hedge_width if hedge_width is not None else tall * (0.8 + (code >> 8 & 255) / 850.0)
    kind = _HEDGE if hedge_width is not None else (_BARE if code >> 16 & 7 < 5 else _LEAFY)
    scale = view.camera.focal / distance
    foot_u, foot_v = view.camera.project_point(x, 0.0, s)
    left, top = foot_u - 0.5 * scale * wide, foot_v - scale * tall
    if left > view.canvas.width or left + scale * wide < 0:
        return
    size = scale * tall
    level = min(_LEVELS - 1, int(math.log2(max(1.0, _SIDE / max(size, 1.0)))))
    shades = _sprite(kind, (code >> 24) % _VARIANTS)[level]
    if code >> 32 & 1:
        shades = shades[:, ::-1]
    lookup = _lookup(view.light, _LEAF_COLOURS[(code >> 33) % 5], _TWIG_COLOURS[(code >> 38) % 3],
                     round(brightness, 2), round(distance))
    view.canvas.sprite(np.ascontiguousarray(shades), lookup, left=left, top=top,
                       width=scale * wide, height=size, surface=TREE)
