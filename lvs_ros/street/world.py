# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What stands where: the cells along both sides of the road, each drawn from its own hash.

Nothing is stored: a cell is made when it comes into view, and each call makes the same one.
"""

from __future__ import annotations

import dataclasses
import functools

from lvs_ros.street.randomness import cell_random

ROAD_HALF_M = 4.95
KERB_M = 0.12
FACADE_X_M = 8.4
"""Lateral distance of the house fronts from the centre line."""

PARKED_X_M = 3.98

CELL_M = 11.0
DISTRICT_CELLS = 9

_BOUNDARY_STREAM = 10
_PLOT_STREAM = 11
_DISTRICT_STREAM = 12
_STREET_STREAM = 13


@dataclasses.dataclass(frozen=True)
class Plot:
    """One piece of land beside the road, from ``s0`` to ``s1`` metres."""

    side: int
    index: int
    s0: float
    s1: float
    kind: str
    """'house', 'park' (trees behind a fence), 'hedge' or 'gap' (a side road)."""
    seed: int


@dataclasses.dataclass(frozen=True)
class Item:
    """One thing on the pavement or at the kerb."""

    kind: str
    """'lamp', 'sign', 'tree', 'bollard', 'parked', 'barrier' or 'hanging_sign'."""
    side: int
    x: float
    s: float
    seed: int


def _boundary(seed: int, side: int, index: int) -> float:
    jitter = cell_random(seed, _BOUNDARY_STREAM + 100 * side, index).uniform(-3.0, 3.0)
    return CELL_M * index + jitter


def _district(seed: int, side: int, index: int) -> tuple[str, bool]:
    """Return the character of a stretch of the road and whether cars are parked there."""
    draw = cell_random(seed, _DISTRICT_STREAM + 100 * side, index // DISTRICT_CELLS)
    character = draw.choices(('town', 'green', 'mixed'), weights=(6, 2, 3))[0]
    return character, draw.random() < 0.5


_PLOT_WEIGHTS = {
    'town': (('house', 0.92), ('gap', 0.05), ('park', 0.03)),
    'green': (('park', 0.62), ('hedge', 0.2), ('house', 0.12), ('gap', 0.06)),
    'mixed': (('house', 0.62), ('park', 0.2), ('hedge', 0.1), ('gap', 0.08)),
}


@functools.lru_cache(maxsize=512)
def plot(seed: int, side: int, index: int) -> Plot:
    """Return one plot on the left (-1) or right (1) side."""
    draw = cell_random(seed, _PLOT_STREAM + 100 * side, index)
    character = _district(seed, side, index)[0]
    kinds, weights = zip(*_PLOT_WEIGHTS[character])
    return Plot(side=side, index=index, s0=_boundary(seed, side, index),
                s1=_boundary(seed, side, index + 1),
                kind=draw.choices(kinds, weights=weights)[0], seed=draw.getrandbits(48))


def plots_between(seed: int, side: int, start_m: float, end_m: float) -> list[Plot]:
    """Return the plots of a side that meet a stretch of the road, in order."""
    found = (plot(seed, side, index)
             for index in range(int(start_m // CELL_M) - 1, int(end_m // CELL_M) + 2))
    return [one for one in found if one.s1 > start_m and one.s0 < end_m]


@functools.lru_cache(maxsize=512)
def items(seed: int, side: int, index: int) -> tuple[Item, ...]:
    """Return what stands on the pavement and at the kerb along one cell."""
    draw = cell_random(seed, _STREET_STREAM + 100 * side, index)
    character, parking = _district(seed, side, index)
    here = plot(seed, side, index)
    start = CELL_M * index
    found: list[Item] = []

    def put(kind: str, x: float, s: float) -> None:
        found.append(Item(kind=kind, side=side, x=side * x, s=s, seed=draw.getrandbits(48)))

    if index % 3 == (0 if side < 0 else 1):
        put('lamp', ROAD_HALF_M + 0.5, start + draw.uniform(3.0, 6.0))
    if draw.random() < 0.4:
        put('sign', ROAD_HALF_M + draw.uniform(0.4, 0.8), start + draw.uniform(0.0, 11.0))
    if draw.random() < {'town': 0.10, 'green': 0.2, 'mixed': 0.35}[character]:
        put('tree', ROAD_HALF_M + draw.uniform(0.9, 1.4), start + draw.uniform(7.0, 10.0))
    if draw.random() < 0.12:
        for step in range(4):
            put('bollard', ROAD_HALF_M + 0.35, start + 1.5 + 2.0 * step)
    elif draw.random() < 0.13:
        put('barrier', ROAD_HALF_M + 0.25, start + 1.0)
    if here.kind == 'house' and draw.random() < 0.45:
        put('hanging_sign', FACADE_X_M, here.s0 + draw.uniform(1.0, 6.0))
    if here.kind != 'gap' and parking:
        for slot in range(2):
            if draw.random() < 0.62:
                put('parked', PARKED_X_M + draw.uniform(-0.1, 0.12),
                    start + 5.5 * slot + draw.uniform(0.0, 0.6))
    return tuple(found)


def items_between(seed: int, side: int, start_m: float, end_m: float) -> list[Item]:
    """Return the things of a side along a stretch of the road, in order of cells."""
    return [item for index in range(int(start_m // CELL_M), int(end_m // CELL_M) + 1)
            for item in items(seed, side, index)]
