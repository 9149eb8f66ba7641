# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What moves: streams of pedestrians, cyclists and cars, as a closed form of the time.

A stream is an endless row of cells that moves along the road at one speed; who is in a cell is
drawn from its hash. So a road user has moved along the whole street when it comes into view, and
none appears in the middle of the picture.
"""

from __future__ import annotations

import dataclasses
import functools
import math

from lvs_ros.street.motion import LANE_X_M, Pose
from lvs_ros.street.randomness import cell_random
from lvs_ros.street.world import FACADE_X_M, ROAD_HALF_M

_LEAD_STREAM = 60


@dataclasses.dataclass(frozen=True)
class Stream:
    """One endless moving row."""

    number: int
    kind: str
    """'pedestrian', 'bicyclist' or 'car'."""
    x: float
    spread_m: float
    speed: float
    cell_m: float
    chance: float


@dataclasses.dataclass(frozen=True)
class Actor:
    """One road user at one time; ``direction`` is 1 when it goes the camera's way, else -1."""

    kind: str
    x: float
    s: float
    speed: float
    direction: int
    seed: int


_NEAR_KERB = ROAD_HALF_M + 1.0
_NEAR_WALL = FACADE_X_M - 1.1

STREAMS = (
    Stream(40, 'pedestrian', -_NEAR_KERB, 0.4, 1.25, 16.0, 0.45),
    Stream(41, 'pedestrian', -_NEAR_WALL, 0.5, -1.4, 13.0, 0.5),
    Stream(42, 'pedestrian', _NEAR_KERB, 0.4, 1.1, 15.0, 0.45),
    Stream(43, 'pedestrian', _NEAR_WALL, 0.5, -1.3, 12.0, 0.5),
    Stream(44, 'pedestrian', -_NEAR_WALL, 0.6, 0.0, 21.0, 0.5),
    Stream(45, 'pedestrian', _NEAR_WALL, 0.6, 0.0, 21.0, 0.5),
    Stream(46, 'bicyclist', -2.8, 0.1, 4.6, 26.0, 0.5),
    Stream(47, 'bicyclist', 2.85, 0.1, -4.9, 40.0, 0.5),
    Stream(48, 'car', -LANE_X_M, 0.15, -9.5, 19.0, 0.5),
)


@functools.lru_cache(maxsize=1024)
def _member(seed: int, stream: Stream, index: int) -> tuple[float, float, int] | None:
    draw = cell_random(seed, stream.number, index)
    if draw.random() >= stream.chance:
        return None
    offset = draw.uniform(0.0, 0.55 * stream.cell_m)
    return offset, stream.x + draw.uniform(-1.0, 1.0) * stream.spread_m, draw.getrandbits(48)


def actors_between(seed: int, time_s: float, start_m: float, end_m: float) -> list[Actor]:
    """Return everyone of the streams along a stretch of the road at a time."""
    found = []
    for stream in STREAMS:
        shift = stream.speed * time_s
        first = int((start_m - shift) // stream.cell_m)
        last = int((end_m - shift) // stream.cell_m)
        for index in range(first, last + 1):
            member = _member(seed, stream, index)
            if member is not None:
                offset, x, own_seed = member
                forward = stream.speed > 0 if stream.speed else own_seed & 1
                found.append(Actor(stream.kind, x, index * stream.cell_m + offset + shift,
                                   stream.speed, 1 if forward else -1, own_seed))
    return found


def lead_car(seed: int, pose: Pose) -> Actor:
    """Return the car that drives ahead, nearer at times, out of sight at others.

    Its lead depends on the way driven, so that it stands when the camera's car stands.
    """
    draw = cell_random(seed, _LEAD_STREAM, 0)
    first, second = draw.uniform(0.0, 6.28), draw.uniform(0.0, 6.28)
    wave = 0.5 + 0.3 * math.sin(pose.s / 61.0 + first) + 0.2 * math.sin(pose.s / 23.0 + second)
    return Actor(kind='car', x=LANE_X_M - 0.1, s=pose.s + 8.5 + 55.0 * wave,
                 speed=pose.speed, direction=1, seed=draw.getrandbits(48))
