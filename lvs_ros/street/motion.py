# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How the car with the camera drives: a closed form of the time, for frames in any order."""

from __future__ import annotations

import dataclasses
import math

from lvs_ros.street.randomness import cell_random

LANE_X_M = -1.55
"""Lateral position of the camera; traffic keeps to the left, as in CamVid's Cambridge."""

_MOTION_STREAM = 1
_BRAKE_S = 5.0


@dataclasses.dataclass(frozen=True)
class Pose:
    """Where the camera is and looks at one time; lengths in metres, angles in radians."""

    s: float
    x: float
    height: float
    yaw: float
    pitch: float
    speed: float
    standing: bool


class Motion:
    """Drives in cycles: cruise, brake for a pedestrian light, stand, pull away.

    :param seed: of the scene; it chooses the speed, the cycle and the phases of the wobble.
    """

    def __init__(self, seed: int) -> None:
        draw = cell_random(seed, _MOTION_STREAM, 0)
        self.cruise_speed = draw.uniform(7.0, 11.5)
        self.stand_s = draw.uniform(3.0, 6.0)
        self.period_s = draw.uniform(34.0, 46.0)
        self._start_s = draw.uniform(6.0, 14.0)
        self._phases = [draw.uniform(0.0, 2.0 * math.pi) for _ in range(8)]
        self.bends = (
            (draw.uniform(3.0, 10.0), draw.uniform(60.0, 80.0), self._phases[0]),
            (draw.uniform(1.0, 3.5), draw.uniform(30.0, 40.0), self._phases[1]))
        """The sine waves of the road's course: (amplitude m, length m, phase)."""
        self._cruise_s = self.period_s - self.stand_s - 2.0 * _BRAKE_S
        # Braking and pulling away are smooth ramps, so they cover half of what cruising would.
        self.cycle_m = self.cruise_speed * (self._cruise_s + _BRAKE_S)

    def stop_line_s(self, cycle: int) -> float:
        """Return the place (m along the road) where the car stands in one cycle."""
        return self.cycle_m * cycle + self.cruise_speed * (self._cruise_s + 0.5 * _BRAKE_S)

    def stop_cycles(self, start_m: float, end_m: float) -> range:
        """Return the cycles whose stop line lies in a stretch of the road."""
        first = self.stop_line_s(0)
        return range(math.ceil((start_m - first) / self.cycle_m),
                     math.floor((end_m - first) / self.cycle_m) + 1)

    def light_is_red(self, cycle: int, time_s: float) -> bool:
        """Tell whether the pedestrian light of a cycle stops the traffic at a time."""
        local = time_s + self._start_s - cycle * self.period_s
        return self._cruise_s - 2.0 <= local < self._cruise_s + _BRAKE_S + self.stand_s

    def crossing_walk(self, cycle: int, time_s: float, *, delay_s: float) -> float:
        """Return how far (m) a pedestrian has walked who crosses while the car stands."""
        local = time_s + self._start_s - cycle * self.period_s
        return max(0.0, 1.5 * (local - self._cruise_s - 0.7 * _BRAKE_S - delay_s))

    def distance(self, time_s: float) -> tuple[float, float]:
        """Return (metres driven, metres per second) at a time."""
        cycle, local = divmod(time_s + self._start_s, self.period_s)
        base = self.cycle_m * cycle
        v = self.cruise_speed
        if local < self._cruise_s:
            return base + v * local, v
        base += v * self._cruise_s
        local -= self._cruise_s
        if local < _BRAKE_S:
            ramp, speed = _ramp(local / _BRAKE_S)
            return base + v * (local - _BRAKE_S * ramp), v * (1.0 - speed)
        base += 0.5 * v * _BRAKE_S
        local -= _BRAKE_S
        if local < self.stand_s:
            return base, 0.0
        ramp, speed = _ramp((local - self.stand_s) / _BRAKE_S)
        return base + v * _BRAKE_S * ramp, v * speed

    def centre(self, s: float) -> tuple[float, float]:
        """Return the lateral course of the road (m) and its slope at a place."""
        offset = slope = 0.0
        for size, length, phase in self.bends:
            offset += size * math.sin(s / length + phase)
            slope += size / length * math.cos(s / length + phase)
        return offset, slope

    def pose(self, time_s: float) -> Pose:
        """Return where the camera is at a time.

        The wobble depends on the distance driven, not on the time: a standing car is still.
        """
        s, speed = self.distance(time_s)
        wave = [math.sin(s / length + phase) for length, phase in
                zip((9.0, 23.0, 5.3, 17.0, 3.1), self._phases[2:])]
        nod = 0.006 * math.sin(math.pi * min(1.0, speed / self.cruise_speed))
        return Pose(s=s, x=LANE_X_M + 0.12 * wave[1], height=1.42 + 0.012 * wave[2],
                    yaw=0.010 * wave[0] + 0.012 * wave[3],
                    pitch=0.004 * wave[4] + 0.004 * wave[3] + nod,
                    speed=speed, standing=speed == 0.0)


def _ramp(part: float) -> tuple[float, float]:
    """Return the integral and the value of the smooth step 3p^2 - 2p^3 at 0 <= part <= 1."""
    return part ** 3 - 0.5 * part ** 4, part * part * (3.0 - 2.0 * part)
