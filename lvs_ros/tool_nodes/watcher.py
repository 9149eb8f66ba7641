# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Watches a camera and the segmentation node from outside, as another node of the system would."""

from __future__ import annotations

import math
import time
from typing import Any, Mapping

import numpy as np
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from lvs_ros.errors import ImageError
from lvs_ros.msg import FrameStatus
from lvs_ros.node.image_messages import decode_image, stamp_to_ns
from lvs_ros.tool_nodes.run_log import RunLog, StatusSample
from lvs_ros.tool_nodes.tool_node import ToolNode


class Watcher(ToolNode):
    """Notes every image, mask and status in a log; a context manager.

    :param log: where to.
    :param domain_id: ROS domain to watch in.
    :param image_topic: of the camera.
    :param node_name: full name of the segmentation node.
    """

    def __init__(self, log: RunLog, *, domain_id: int | None = None,
                 image_topic: str = '/image_raw', node_name: str = '/lvs') -> None:
        self._log = log
        self._image_topic = image_topic
        super().__init__('lvs_watcher', domain_id=domain_id)
        with self._closed_on_error():
            profile = QoSProfile(depth=20, history=HistoryPolicy.KEEP_LAST,
                                 reliability=ReliabilityPolicy.RELIABLE)
            self._node.create_subscription(Image, image_topic, self._on_image, profile)
            self._node.create_subscription(Image, f'{node_name}/mask', self._on_mask, profile)
            self._node.create_subscription(FrameStatus, f'{node_name}/status', self._on_status,
                                           profile)

    @property
    def is_domain_in_use(self) -> bool:
        """Whether somebody publishes on the camera's topic, or masks, in this domain."""
        return bool(self._node.count_publishers(self._image_topic)
                    or len(self._node.get_node_names()) > 1)

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
