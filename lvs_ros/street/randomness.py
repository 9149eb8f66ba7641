# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Reproducible random numbers for the cells of an unbounded world."""

import random

_MASK = (1 << 64) - 1


def mix(*values: int) -> int:
    """Hash integers into 64 bits (SplitMix64), alike on every machine and Python version.

    :param values: any integers, also negative ones.
    :returns: 0 <= hash < 2**64.
    """
    state = 0x9E3779B97F4A7C15
    for value in values:
        state = (state ^ (value & _MASK)) * 0xBF58476D1CE4E5B9 & _MASK
        state ^= state >> 30
        state = state * 0x94D049BB133111EB & _MASK
        state ^= state >> 31
    return state


def cell_random(seed: int, stream: int, index: int) -> random.Random:
    """Return the generator of one cell: what stands there depends on nothing else.

    :param seed: of the scene.
    :param stream: what is asked for (a number per kind of thing, so that kinds are independent).
    :param index: of the cell along the road, also negative.
    """
    return random.Random(mix(seed, stream, index))
