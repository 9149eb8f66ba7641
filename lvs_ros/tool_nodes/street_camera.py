# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A camera that films the synthetic street: what a driver is on a vehicle."""

from __future__ import annotations

import math
import time

import numpy as np
from std_msgs.msg import Header

from lvs_ros.errors import ConfigurationError
from lvs_ros.node.image_messages import encode_image, ns_to_stamp
from lvs_ros.street import StreetScene
from lvs_ros.tool_nodes.image_publisher import ImagePublisher

FRAME_ID = 'camera'
PREPARED_BYTES = 512 * 1024 * 1024
"""The most memory that images drawn in advance may take."""

_NANOSECONDS = 1_000_000_000


def scene_time_s(stamp_ns: int, origin_ns: int) -> float:
    """Return the time in the scene at which an image with this stamp was taken.

    With a camera's origin, the image of any stamp can be rendered again, with its labels.
    """
    return (stamp_ns - origin_ns) / _NANOSECONDS


class StreetCamera(ImagePublisher):
    """A node that publishes the street at a steady rate.

    A frame is drawn before it is due and published at the very moment that its stamp says.

    :param scene: what it films.
    :param topic: where it publishes sensor_msgs/Image, rgb8, reliable.
    :param rate_hz: images a second.
    :param origin_ns: stamp at which the time in the scene is 0; None: that of :meth:`start`.
    :raises ConfigurationError: the rate is not between 0.1 and 200.
    """

    def __init__(self, scene: StreetScene, *, topic: str = 'image_raw', rate_hz: float = 15.0,
                 origin_ns: int | None = None) -> None:
        if not 0.1 <= rate_hz <= 200.0:
            raise ConfigurationError(f'the street camera cannot run at {rate_hz} Hz: expected a '
                                     'rate from 0.1 to 200')
        self._scene = scene
        self._period_ns = round(_NANOSECONDS / rate_hz)
        self._origin_ns = origin_ns
        self._prepared: dict[int, np.ndarray] = {}
        self.published = 0
        self.skipped = 0
        """Frames that could not be drawn in time."""
        super().__init__(topic, name='street_camera', depth=1)

    def prepare(self, duration_s: float) -> int:
        """Draw the first part of the drive in advance, so that filming it costs next to nothing.

        A real camera takes no processor time from the network; one that draws does.

        :param duration_s: how much of the drive, as far as it fits into :data:`PREPARED_BYTES`.
        :returns: how many images it drew.
        """
        wanted = math.ceil(duration_s * _NANOSECONDS / self._period_ns)
        size = self._scene.width * self._scene.height * 3
        for tick in range(min(wanted, PREPARED_BYTES // size)):
            self._prepared[tick] = self._draw(tick)
        return len(self._prepared)

    def start(self) -> int:
        """Begin the drive now, unless the origin was given.

        :returns: the origin, nanoseconds.
        """
        if self._origin_ns is None:
            self._origin_ns = self.now_ns()
        return self._origin_ns

    def film(self, *, duration_s: float | None = None) -> None:
        """Publish until the duration is over.

        :param duration_s: None: without an end.
        """
        origin_ns, start_ns = self.start(), self.now_ns()
        # Ticks are counted from the origin: stamps do not depend on how long it took to start.
        tick = max(0, -((origin_ns - start_ns) // self._period_ns))
        end_ns = None if duration_s is None else start_ns + round(duration_s * _NANOSECONDS)
        while True:
            stamp_ns = origin_ns + tick * self._period_ns
            if end_ns is not None and stamp_ns >= end_ns:
                return
            image = self._prepared.pop(tick, None)
            message = encode_image(self._draw(tick) if image is None else image,
                                   Header(stamp=ns_to_stamp(stamp_ns), frame_id=FRAME_ID))
            late_ns = self.now_ns() - stamp_ns
            if late_ns > self._period_ns // 2:
                # A late frame is not sent: a camera drops frames, it does not delay them.
                ahead = late_ns // self._period_ns + 1
                tick += ahead
                self.skipped += ahead
                continue
            if late_ns < 0:
                time.sleep(-late_ns / _NANOSECONDS)
            self._images.publish(message)
            self.published += 1
            tick += 1

    def _draw(self, tick: int) -> np.ndarray:
        return self._scene.render(scene_time_s(tick * self._period_ns, 0))[0]
