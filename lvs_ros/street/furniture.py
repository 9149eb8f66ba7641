# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Lamp posts, signs, traffic lights, bollards, barriers and fences."""

from __future__ import annotations

import random

import numpy as np

from lvs_ros.street.camera import NEAR_M
from lvs_ros.street.surfaces import FENCE, POLE, SIGN
from lvs_ros.street.upright import Upright
from lvs_ros.street.view import View
from lvs_ros.street.world import KERB_M, Item


def _post(view: View, x: float, s: float) -> Upright:
    """Return the plane of something that begins with a post on the pavement."""
    return Upright(view, POLE, x=x, y=KERB_M, s=s)


def draw_lamp(view: View, item: Item) -> None:
    """Draw a lamp post whose arm reaches over the road."""
    draw = random.Random(item.seed)
    tall = draw.uniform(6.5, 8.5)
    lamp = _post(view, item.x, item.s)
    if not lamp.visible(2.0, tall + 0.5):
        return
    colour = draw.choice(((66, 70, 72), (104, 108, 108), (44, 50, 48)))
    reach = -1.6 if item.x > 0 else 1.6
    lamp.box(-0.11, 0.11, 0.0, 1.2, colour, 0.9)
    lamp.trapezoid(1.2, 0.08, tall, 0.05, colour)
    lamp.shape([(0.0, tall), (reach, tall + 0.35), (reach, tall + 0.45), (0.0, tall - 0.15)],
               colour)
    lamp.box(reach, 1.3 * reach, tall + 0.27, tall + 0.45, (150, 150, 146))


def draw_sign(view: View, item: Item) -> None:
    """Draw a sign on its post: round, triangular, a board, or the grey back of one."""
    draw = random.Random(item.seed)
    sign = _post(view, item.x, item.s)
    if not sign.visible(0.8, 4.0):
        return
    kind = draw.choice(('round', 'triangle', 'board', 'back', 'arrow'))
    y = draw.uniform(2.2, 2.7)
    sign.box(-0.045, 0.045, 0.0, y + 0.3, (112, 114, 114))
    sign.surface = SIGN
    if kind == 'round':
        sign.ellipse(0.0, y, 0.33, 0.33, (186, 28, 34))
        sign.ellipse(0.0, y, 0.24, 0.24, (228, 226, 222))
        sign.box(-0.1, 0.1, y - 0.1, y + 0.1, (30, 30, 30))
    elif kind == 'triangle':
        sign.shape([(-0.42, y - 0.3), (0.42, y - 0.3), (0.0, y + 0.45)], (190, 30, 34))
        sign.shape([(-0.25, y - 0.2), (0.25, y - 0.2), (0.0, y + 0.25)], (230, 228, 224))
    elif kind == 'board':
        colour = draw.choice(((28, 62, 140), (22, 96, 58), (214, 212, 206), (222, 180, 40)))
        ink = 230 if sum(colour) < 400 else 40
        sign.box(-0.55, 0.55, y - 0.35, y + 0.4, colour)
        sign.box(-0.4, 0.35, y + 0.1, y + 0.22, (ink,) * 3)
        sign.box(-0.4, 0.1, y - 0.15, y - 0.03, (ink,) * 3)
    elif kind == 'back':
        sign.ellipse(0.0, y, 0.33, 0.33, (92, 94, 96))
    else:
        sign.ellipse(0.0, y, 0.32, 0.32, (30, 70, 160))
        sign.shape([(-0.05, y - 0.2), (0.05, y - 0.2), (0.05, y), (0.14, y), (0.0, y + 0.2),
                    (-0.14, y), (-0.05, y)], (232, 232, 232))


def draw_hanging_sign(view: View, item: Item) -> None:
    """Draw a shop's sign that sticks out from its front."""
    draw = random.Random(item.seed)
    sign = Upright(view, SIGN, x=item.x, y=KERB_M, s=item.s)
    if not sign.visible(1.5, 5.0):
        return
    inward = -1.0 if item.x > 0 else 1.0
    y, wide, tall = draw.uniform(2.9, 3.8), draw.uniform(0.6, 1.0), draw.uniform(0.6, 1.3)
    colour = draw.choice(((186, 30, 36), (30, 60, 150), (226, 224, 216), (24, 92, 56),
                          (226, 178, 30), (32, 32, 34)))
    ink = 235 if sum(colour) < 400 else 40
    near, far = sorted((inward * 0.15, inward * (0.15 + wide)))
    sign.box(0.0, inward * 0.3, y + tall - 0.1, y + tall, (30,) * 3)
    sign.box(near, far, y, y + tall, colour)
    sign.box(near + 0.12, far - 0.12, y + 0.4 * tall, y + 0.65 * tall, (ink,) * 3)


def draw_bollard(view: View, item: Item) -> None:
    """Draw a black bollard with a white band."""
    bollard = _post(view, item.x, item.s)
    if bollard.visible(0.2, 1.2):
        bollard.box(-0.08, 0.08, 0.0, 1.0, (34, 34, 36))
        bollard.box(-0.085, 0.085, 0.78, 0.88, (200, 200, 196))


def draw_traffic_light(view: View, *, x: float, s: float, red: bool) -> None:
    """Draw a traffic light, which CamVid's 11 classes count among the signs."""
    signal = _post(view, x, s)
    if not signal.visible(0.5, 4.0):
        return
    signal.box(-0.06, 0.06, 0.0, 2.4, (58, 60, 60))
    signal.surface = SIGN
    signal.box(-0.24, 0.24, 2.2, 3.35, (18, 18, 20))
    for y, colour, is_lit in ((3.12, (255, 50, 40), red), (2.78, (90, 60, 20), False),
                              (2.44, (40, 235, 130), not red)):
        shown = colour if is_lit else tuple(0.25 * part for part in colour)
        signal.ellipse(0.0, y, 0.13, 0.13, shown, 1.3 if is_lit else 1.0)


def draw_barrier(view: View, item: Item) -> None:
    """Draw eight metres of railing at the kerb."""
    draw_railing(view, x=item.x, s0=item.s, s1=item.s + 8.0, tall=1.05, seed=item.seed)


def draw_railing(view: View, *, x: float, s0: float, s1: float, tall: float, seed: int) -> None:
    """Draw a fence along the road: boards, or bars before a dark ground.

    :param x: lateral place in metres; s0, s1: its ends along the road.
    """
    draw = random.Random(seed)
    start = max(s0, view.camera.pose.s + NEAR_M)
    if s1 <= start:
        return
    distance = view.distance(0.5 * (start + s1))
    ends = np.array([start, s1, s1, start])
    outline = view.camera.project(x, KERB_M + np.array([0.0, 0.0, tall, tall]), ends)
    if not view.canvas.visible(outline):
        return
    if draw.random() < 0.5:
        ground: tuple[int, int, int] = draw.choice(((112, 88, 62), (92, 80, 66), (74, 70, 64)))
        bar = tuple(0.72 * part for part in ground)
        pitch, width = 0.9, 0.06
    else:
        ground = (48, 54, 46)
        bar = draw.choice(((20, 22, 22), (130, 132, 132), (36, 60, 48)))
        pitch, width = 0.45, 0.09
    view.canvas.convex(outline, view.light.tone(ground, distance), FENCE)
    if distance > 60.0:
        return
    at = s0 + pitch * np.arange(np.ceil((start - s0) / pitch), int((s1 - s0) / pitch))
    along = np.stack([at, at + width, at + width, at], axis=1)
    up = np.array([KERB_M, KERB_M, KERB_M + tall, KERB_M + tall])
    view.canvas.polygons(view.camera.project(x, up, along), view.light.tone(bar, distance), FENCE)
    for y in (0.12, tall - 0.08):
        view.face(x, KERB_M + np.array([y, y, y + 0.08, y + 0.08]), ends, bar, FENCE, distance,
                  1.1)
