# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The projection from road coordinates to pixels.

Road coordinates: ``s`` metres along the road, ``x`` metres to the right of its centre line, ``y``
metres above the ground. The course of the road shifts things sideways with their distance. Yaw and
pitch are below two degrees and therefore shifts of the picture.
"""

from __future__ import annotations

import numpy as np

from lvs_ros.street.motion import Motion, Pose

NEAR_M = 0.5
"""Nothing nearer is drawn; lines along the road that pass the camera end at this distance."""

FAR_M = 170.0
FOCAL_LENGTH_WIDTHS = 0.95
HORIZON_HEIGHTS = 0.47


class Camera:
    """A pinhole camera at one pose.

    :param pose: where it is.
    :param motion: the course of the road.
    :param width: of the picture, in pixels.
    :param height: of the picture, in pixels.
    """

    def __init__(self, pose: Pose, motion: Motion, *, width: int, height: int) -> None:
        self.pose = pose
        self.width = width
        self.height = height
        self.focal = FOCAL_LENGTH_WIDTHS * width
        self.horizon = HORIZON_HEIGHTS * height - self.focal * pose.pitch
        self.centre_u = 0.5 * (width - 1) - self.focal * pose.yaw
        # Interpolating a table is several times cheaper than the sines at every call.
        self._table_z = np.concatenate([np.arange(0.0, 60.0, 2.0), np.arange(60.0, 301.0, 5.0)])
        here, slope = motion.centre(pose.s)
        offset = np.full_like(self._table_z, -here)
        for size, length, phase in motion.bends:
            offset += size * np.sin((pose.s + self._table_z) / length + phase)
        self._table_x = offset - slope * self._table_z
        self.heading = slope + pose.yaw

    def bend(self, z: np.ndarray | float) -> np.ndarray:
        """Return how far (m) the road has turned to the right at distances ``z`` (m)."""
        return np.asarray(np.interp(z, self._table_z, self._table_x))

    def project(self, x: np.ndarray | float, y: np.ndarray | float,
                s: np.ndarray | float) -> np.ndarray:
        """Project points; the arguments broadcast against one another.

        :returns: (..., 2) float64, columns and rows in pixels; integers are centres of pixels.
        """
        z = np.maximum(np.subtract(s, self.pose.s), NEAR_M)
        scale = self.focal / z
        u = self.centre_u + scale * (x + (self.bend(z) - self.pose.x))
        v = self.horizon + scale * (self.pose.height - y)
        return np.stack(np.broadcast_arrays(u, v), axis=-1)

    def project_point(self, x: float, y: float, s: float) -> tuple[float, float]:
        """Project one point; for one, plain numbers are quicker than arrays.

        :returns: column and row in pixels.
        """
        z = max(s - self.pose.s, NEAR_M)
        scale = self.focal / z
        return (self.centre_u + scale * (x - self.pose.x + float(self.bend(z))),
                self.horizon + scale * (self.pose.height - y))
