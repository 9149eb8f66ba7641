# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Records the images of a camera and the masks of the segmentation node."""

from __future__ import annotations

import math
import time
from typing import Any, Mapping

import numpy as np
from sensor_msgs.msg import Image

from lvs_ros.errors import ImageError
from lvs_ros.msg import FrameStatus
from lvs_ros.node.image_messages import decode_image, stamp_to_ns
from lvs_ros.tool_nodes.run_log import RunLog, StatusSample
from lvs_ros.tool_nodes.tool_node import ToolNode

_QUEUE = 20


class Watcher(ToolNode):
    """Records every image, mask and status in a log; a context manager.

    :param log: where to.
    :param domain_id: ROS domain to watch in.
    """

    def __init__(self, log: RunLog, *, domain_id: int) -> None:
        self._log = log
        super().__init__('lvs_watcher', domain_id=domain_id)
        self._node.create_subscription(Image, '/image_raw', self._on_image, _QUEUE)
        self._node.create_subscription(Image, '/lvs/mask', self._on_mask, _QUEUE)
        self._node.create_subscription(FrameStatus, '/lvs/status', self._on_status, _QUEUE)

    # The time of arrival is the middleware's: a callback may wait while the terminal is drawn.

    def _on_image(self, message: Image, info: Mapping[str, Any]) -> None:
        self._log.add_image(stamp_to_ns(message.header.stamp), _received_ns(info))

    def _on_mask(self, message: Image, info: Mapping[str, Any]) -> None:
        try:
            frame = decode_image(message)
        except ImageError:
            return
        mask = np.reshape(frame.image, frame.image.shape[:2])
        self._log.add_mask(frame.stamp_ns, _received_ns(info), mask)

    def _on_status(self, message: FrameStatus) -> None:
        self._log.add_status(StatusSample(
            stamp_ns=stamp_to_ns(message.header.stamp), schedule=message.schedule,
            key_frame=message.key_frame, key_age_frames=message.key_age_frames,
            deviation=_known(message.deviation), threshold=message.threshold,
            slow_track_ms=_known(message.slow_track_ms),
            slow_track_failures=message.slow_track_failures))


def _received_ns(info: Mapping[str, Any]) -> int:
    return info.get('received_timestamp') or time.time_ns()


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
