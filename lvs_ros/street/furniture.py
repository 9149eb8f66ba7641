# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Lamp posts, signs, traffic lights, bollards, barriers and fences."""

from __future__ import annotations

import random

import numpy as np

from lvs_ros.street.camera import NEAR_M, Camera
from lvs_ros.street.light import Light
from lvs_ros.street.painter import Canvas
from lvs_ros.street.surfaces import FENCE, POLE, SIGN
from lvs_ros.street.upright import Upright
from lvs_ros.street.world import KERB_M


def _placed(canvas: Canvas, camera: Camera, light: Light, x: float, s: float) -> Upright:
    return Upright(canvas, camera, light, x=x, y=KERB_M, s=s)


def draw_lamp(canvas: Canvas, camera: Camera, light: Light, *, x: float, s: float,
              seed: int) -> None:
    """Draw a lamp post whose arm reaches over the road."""
    draw = random.Random(seed)
    tall = draw.uniform(6.5, 8.5)
    place = _placed(canvas, camera, light, x, s)
    if not place.visible(2.0, tall + 0.5):
        return
    colour = draw.choice(((66, 70, 72), (104, 108, 108), (44, 50, 48)))
    reach = -1.6 if x > 0 else 1.6
    place.box(-0.11, 0.11, 0.0, 1.2, colour, POLE, 0.9)
    place.shape([(-0.08, 1.2), (0.08, 1.2), (0.05, tall), (-0.05, tall)], colour, POLE)
    place.shape([(0.0, tall), (reach, tall + 0.35), (reach, tall + 0.45), (0.0, tall - 0.15)],
                colour, POLE)
    place.box(min(reach, 1.3 * reach), max(reach, 1.3 * reach), tall + 0.27, tall + 0.45,
              (150, 150, 146), POLE)


def draw_sign(canvas: Canvas, camera: Camera, light: Light, *, x: float, s: float,
              seed: int) -> None:
    """Draw a sign on its post: round, triangular, a board, or the grey back of one."""
    draw = random.Random(seed)
    place = _placed(canvas, camera, light, x, s)
    if not place.visible(0.8, 4.0):
        return
    kind = draw.choice(('round', 'triangle', 'board', 'back', 'arrow'))
    y = draw.uniform(2.2, 2.7)
    place.box(-0.045, 0.045, 0.0, y + 0.3, (112, 114, 114), POLE)
    if kind == 'round':
        place.disc(0.0, y, 0.33, 0.33, (186, 28, 34), SIGN)
        place.disc(0.0, y, 0.24, 0.24, (228, 226, 222), SIGN)
        place.box(-0.1, 0.1, y - 0.1, y + 0.1, (30, 30, 30), SIGN)
    elif kind == 'triangle':
        place.shape([(-0.42, y - 0.3), (0.42, y - 0.3), (0.0, y + 0.45)], (190, 30, 34), SIGN)
        place.shape([(-0.25, y - 0.2), (0.25, y - 0.2), (0.0, y + 0.25)], (230, 228, 224), SIGN)
    elif kind == 'board':
        colour = draw.choice(((28, 62, 140), (22, 96, 58), (214, 212, 206), (222, 180, 40)))
        ink = 230 if sum(colour) < 400 else 40
        place.box(-0.55, 0.55, y - 0.35, y + 0.4, colour, SIGN)
        place.box(-0.4, 0.35, y + 0.1, y + 0.22, (ink,) * 3, SIGN)
        place.box(-0.4, 0.1, y - 0.15, y - 0.03, (ink,) * 3, SIGN)
    elif kind == 'back':
        place.disc(0.0, y, 0.33, 0.33, (92, 94, 96), SIGN)
    else:
        place.disc(0.0, y, 0.32, 0.32, (30, 70, 160), SIGN)
        place.shape([(-0.05, y - 0.2), (0.05, y - 0.2), (0.05, y), (0.14, y), (0.0, y + 0.2),
                     (-0.14, y), (-0.05, y)], (232, 232, 232), SIGN)


def draw_hanging_sign(canvas: Canvas, camera: Camera, light: Light, *, x: float, s: float,
                      seed: int) -> None:
    """Draw a shop's sign that sticks out from its front."""
    draw = random.Random(seed)
    place = _placed(canvas, camera, light, x, s)
    inward = -1.0 if x > 0 else 1.0
    if not place.visible(1.5, 5.0):
        return
    y, wide, tall = draw.uniform(2.9, 3.8), draw.uniform(0.6, 1.0), draw.uniform(0.6, 1.3)
    colour = draw.choice(((186, 30, 36), (30, 60, 150), (226, 224, 216), (24, 92, 56),
                          (226, 178, 30), (32, 32, 34)))
    ink = 235 if sum(colour) < 400 else 40
    near, far = sorted((inward * 0.15, inward * (0.15 + wide)))
    place.box(min(0.0, inward * 0.3), max(0.0, inward * 0.3), y + tall - 0.1, y + tall, (30,) * 3,
              SIGN)
    place.box(near, far, y, y + tall, colour, SIGN)
    place.box(near + 0.12, far - 0.12, y + 0.4 * tall, y + 0.65 * tall, (ink,) * 3, SIGN)


def draw_bollard(canvas: Canvas, camera: Camera, light: Light, *, x: float, s: float) -> None:
    """Draw a black bollard with a white band."""
    place = _placed(canvas, camera, light, x, s)
    if place.visible(0.2, 1.2):
        place.box(-0.08, 0.08, 0.0, 1.0, (34, 34, 36), POLE)
        place.box(-0.085, 0.085, 0.78, 0.88, (200, 200, 196), POLE)


def draw_traffic_light(canvas: Canvas, camera: Camera, light: Light, *, x: float, s: float,
                       red: bool) -> None:
    """Draw a traffic light, which CamVid's 11 classes count among the signs."""
    place = _placed(canvas, camera, light, x, s)
    if not place.visible(0.5, 4.0):
        return
    place.box(-0.06, 0.06, 0.0, 2.4, (58, 60, 60), POLE)
    place.box(-0.24, 0.24, 2.2, 3.35, (18, 18, 20), SIGN)
    lamps = ((3.12, (255, 50, 40), red), (2.78, (90, 60, 20), False),
             (2.44, (40, 235, 130), not red))
    for y, colour, is_lit in lamps:
        shown = colour if is_lit else tuple(0.25 * part for part in colour)
        place.disc(0.0, y, 0.13, 0.13, shown, SIGN, 1.3 if is_lit else 1.0)


def draw_railing(canvas: Canvas, camera: Camera, light: Light, *, x: float, s0: float, s1: float,
                 tall: float, seed: int) -> None:
    """Draw a fence along the road: boards, or bars before a dark ground.

    :param x: lateral place in metres; s0, s1: its ends along the road.
    """
    draw = random.Random(seed)
    start = max(s0, camera.pose.s + NEAR_M)
    if s1 <= start:
        return
    distance = 0.5 * (start + s1) - camera.pose.s
    outline = camera.project(x, KERB_M + np.array([0.0, 0.0, tall, tall]),
                             np.array([start, s1, s1, start]))
    if not canvas.visible(outline):
        return
    boards = draw.random() < 0.5
    ground = draw.choice(((112, 88, 62), (92, 80, 66), (74, 70, 64))) if boards else (48, 54, 46)
    bar = tuple(0.72 * part for part in ground) if boards else \
        draw.choice(((20, 22, 22), (130, 132, 132), (36, 60, 48)))
    canvas.convex(outline, light.tone(ground, distance), FENCE)
    if distance > 60.0:
        return
    pitch, width = (0.9, 0.06) if boards else (0.45, 0.09)
    first = np.ceil((start - s0) / pitch)
    at = s0 + pitch * np.arange(first, int((s1 - s0) / pitch))
    if len(at):
        along = np.stack([at, at + width, at + width, at], axis=1)
        up = np.array([KERB_M, KERB_M, KERB_M + tall, KERB_M + tall])
        canvas.polygons(camera.project(x, up, along), light.tone(bar, distance), FENCE)
    for y in (0.12, tall - 0.08):
        rail = camera.project(x, KERB_M + np.array([y, y, y + 0.08, y + 0.08]),
                              np.array([start, s1, s1, start]))
        canvas.convex(rail, light.tone(bar, distance, brightness=1.1), FENCE)
