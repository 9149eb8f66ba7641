# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Weather and time of day of a scene: how bright each surface is and how distance fades it."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Sequence

from lvs_ros.street.painter import Colour
from lvs_ros.street.randomness import cell_random

_LIGHT_STREAM = 2


@dataclasses.dataclass(frozen=True)
class Light:
    """The light of a scene; colours are RGB in 0..255, before exposure for those of objects."""

    sun_side: int
    """-1: the sun is behind the left houses (they are dark), 1: the right ones, 0: overcast."""
    exposure: float
    tint: tuple[float, float, float]
    haze: tuple[float, float, float]
    haze_length_m: float
    sky_top: tuple[float, float, float]
    sky_bottom: tuple[float, float, float]
    cloud_amount: float
    shadow: float
    """Brightness of what lies in the shadow of houses, 1 = as bright as in the sun."""

    def tone(self, colour: Sequence[float], distance_m: float,
             brightness: float = 1.0) -> Colour:
        """Return the colour of a surface as the camera sees it.

        :param colour: the surface's own RGB, 0..255.
        """
        clear = self.clearness(distance_m)
        gain = self.exposure * brightness * clear
        fog = 1.0 - clear
        red, green, blue = colour
        tint, haze = self.tint, self.haze
        return (min(255, int(red * tint[0] * gain + haze[0] * fog)),
                min(255, int(green * tint[1] * gain + haze[1] * fog)),
                min(255, int(blue * tint[2] * gain + haze[2] * fog)))

    def clearness(self, distance_m: float) -> float:
        """Return the part of a colour that comes through the haze, 0..1."""
        return math.exp(-max(distance_m, 0.0) / self.haze_length_m)

    def facade_brightness(self, side: int) -> float:
        """Return the brightness of the houses on the left (-1) or right (1)."""
        if self.sun_side == 0:
            return 0.85
        return 0.55 if side == self.sun_side else 1.25


def make_light(seed: int) -> Light:
    """Draw the light of a scene."""
    draw = cell_random(seed, _LIGHT_STREAM, 0)
    return draw.choices((_sunny, _overcast, _dusk), weights=(6, 4, 2))[0](draw)


def _tint(draw: random.Random, spread: float) -> tuple[float, float, float]:
    warm = draw.uniform(-spread, spread)
    return 1.0 + warm, 1.0, 1.0 - warm


def _sunny(draw: random.Random) -> Light:
    blue = draw.uniform(0.0, 1.0)
    return Light(
        sun_side=draw.choice((-1, 1)), exposure=draw.uniform(0.75, 1.0), tint=_tint(draw, 0.06),
        haze=(196.0, 206.0, 214.0), haze_length_m=draw.uniform(220.0, 420.0),
        sky_top=(225.0 - 70.0 * blue, 240.0 - 25.0 * blue, 252.0), sky_bottom=(250.0,) * 3,
        cloud_amount=draw.uniform(0.1, 0.6), shadow=draw.uniform(0.42, 0.6))


def _overcast(draw: random.Random) -> Light:
    grey = draw.uniform(215.0, 252.0)
    return Light(
        sun_side=0, exposure=draw.uniform(0.6, 0.95), tint=_tint(draw, 0.04),
        haze=(grey * 0.8,) * 3, haze_length_m=draw.uniform(130.0, 260.0),
        sky_top=(grey, grey, min(255.0, grey + 3.0)), sky_bottom=(min(255.0, grey + 12.0),) * 3,
        cloud_amount=draw.uniform(0.2, 0.7), shadow=1.0)


def _dusk(draw: random.Random) -> Light:
    grey = draw.uniform(125.0, 190.0)
    return Light(
        sun_side=0, exposure=draw.uniform(0.36, 0.6), tint=_tint(draw, 0.05),
        haze=(grey * 0.42, grey * 0.45, grey * 0.48), haze_length_m=draw.uniform(130.0, 260.0),
        sky_top=(grey * 0.75, grey * 0.83, grey * 0.92),
        sky_bottom=(grey * 1.25, grey * 1.28, grey * 1.3),
        cloud_amount=draw.uniform(0.5, 0.9), shadow=1.0)
