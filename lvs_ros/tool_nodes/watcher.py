# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Records the images of a camera and the masks of the segmentation node."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Mapping

from sensor_msgs.msg import Image

from lvs_ros.errors import ImageError
from lvs_ros.msg import FrameStatus
from lvs_ros.node.image_messages import stamp_to_ns
from lvs_ros.node.serialized_images import read_image
from lvs_ros.packed_mask import pack
from lvs_ros.tool_nodes.run_log import RunLog
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
        self._node.create_subscription(Image, '/lvs/mask', self._on_mask, _QUEUE, raw=True)
        self._node.create_subscription(FrameStatus, '/lvs/status', self._on_status, _QUEUE)

    # The time of arrival is the middleware's: a callback may wait while the terminal is drawn.

    def _on_image(self, message: Image, info: Mapping[str, Any]) -> None:
        self._log.images[stamp_to_ns(message.header.stamp)] = _received_ns(info)

    def _on_mask(self, cdr: bytes, info: Mapping[str, Any]) -> None:
        with contextlib.suppress(ImageError):
            frame = read_image(cdr).frame
            self._log.arrivals[frame.stamp_ns] = _received_ns(info)
            self._log.masks[frame.stamp_ns] = pack(frame.image)

    def _on_status(self, message: FrameStatus) -> None:
        self._log.statuses[stamp_to_ns(message.header.stamp)] = message


def _received_ns(info: Mapping[str, Any]) -> int:
    return info.get('received_timestamp') or time.time_ns()
