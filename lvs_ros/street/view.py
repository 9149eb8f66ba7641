# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""One frame that is being drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from lvs_ros.street.camera import Camera
from lvs_ros.street.light import Light
from lvs_ros.street.painter import Canvas


@dataclasses.dataclass(frozen=True)
class View:
    """What is drawn on, from where it is seen, and in which light."""

    canvas: Canvas
    camera: Camera
    light: Light

    def distance(self, s: float) -> float:
        """Return how far (m) a place ``s`` metres along the road is ahead of the camera."""
        return s - self.camera.pose.s

    def face(self, x: np.ndarray | float, y: np.ndarray | float, s: np.ndarray | float,
             colour: Sequence[float], surface: int, distance_m: float,
             brightness: float = 1.0) -> None:
        """Fill one convex polygon.

        :param x, y, s: its corners in road coordinates, metres; they broadcast to (N,).
        :param colour: the surface's own RGB, 0..255.
        :param distance_m: at which the colour fades in the haze.
        """
        self.canvas.convex(self.camera.project(x, y, s),
                           self.light.tone(colour, distance_m, brightness), surface)
