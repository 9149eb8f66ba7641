# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A camera of nodes that answer each image; it measures the time to the answer."""

from __future__ import annotations

import time
from typing import Any, Mapping

from rcl_interfaces.srv import SetParameters
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from lvs_ros.msg import FrameStatus
from lvs_ros.node.image_messages import ns_to_stamp, stamp_to_ns
from lvs_ros.node.serialized_images import read_header
from lvs_ros.tool_nodes.tool_node import ToolNode

_NOT_OF_THE_STEP = ('publish_ms', 'latency_ms', 'slow_track_ms')
_STAGES = [name for name in FrameStatus.get_fields_and_field_types()
           if name.endswith('_ms') and name not in _NOT_OF_THE_STEP]


class Answerer:
    """A node that answers images.

    :param images: publishes what it is to answer.
    """

    def __init__(self, images: Any) -> None:
        self._images = images
        self.answers = 0
        """Publishers of its answers that are connected."""
        self.sent_ns: list[int] = []
        """Stamps of the images, nanoseconds."""
        self.answered_ns: dict[int, int] = {}
        """When the whole of an answer had come, by the stamp; nanoseconds of the same clock."""

    @property
    def is_connected(self) -> bool:
        """Whether images reach it and its answers come back."""
        return self._images.get_subscription_count() > 0 and self.answers > 0

    def send(self, message: Image) -> int:
        """Publish an image with the stamp of this moment; return the stamp, nanoseconds."""
        stamp_ns = time.time_ns()
        message.header.stamp = ns_to_stamp(stamp_ns)
        self._images.publish(message)
        self.sent_ns.append(stamp_ns)
        return stamp_ns

    def latency_ms(self, stamp_ns: int) -> float | None:
        """Return the time from the stamp to the answer; None if none has come."""
        answered_ns = self.answered_ns.get(stamp_ns)
        return None if answered_ns is None else (answered_ns - stamp_ns) / 1e6


class RoundTrips(ToolNode):
    """Sends images and takes answers in one thread.

    :param domain_id: the ROS domain.
    """

    def __init__(self, *, domain_id: int) -> None:
        self.statuses: dict[int, FrameStatus] = {}
        """The status of each frame, by its stamp, nanoseconds; see :meth:`watch_status`."""
        super().__init__('lvs_round_trips', domain_id=domain_id)

    def add(self, *, image_topic: str, answer_topic: str) -> Answerer:
        """Add a node that answers the images of one topic on another one."""
        answerer = Answerer(self._node.create_publisher(Image, image_topic, 1))

        def on_answer(cdr: bytes, info: Mapping[str, Any]) -> None:
            # The middleware's time of arrival: how soon this process handles the answer is no
            # part of the node's latency.
            answerer.answered_ns[read_header(cdr).stamp_ns] = (
                info.get('received_timestamp') or time.time_ns())

        def on_matched(change: Any) -> None:
            answerer.answers = change.current_count

        self._node.create_subscription(
            Image, answer_topic, on_answer, 10, raw=True,
            event_callbacks=SubscriptionEventCallbacks(matched=on_matched))
        return answerer

    def watch_status(self, topic: str) -> None:
        """Record the statuses of a segmentation node."""
        def on_status(status: FrameStatus) -> None:
            self.statuses[stamp_to_ns(status.header.stamp)] = status

        self._node.create_subscription(FrameStatus, topic, on_status, 10)

    def set_parameter(self, node_name: str, name: str, value: float, timeout_s: float
                      ) -> str | None:
        """Set a parameter of another node.

        :returns: why it was not set; None if it was
        """
        client: Any = self._node.create_client(SetParameters, f'{node_name}/set_parameters')
        try:
            if not self.spin_until(client.service_is_ready, timeout_s):
                return f'there is no service {client.srv_name}'
            parameter = Parameter(name, value=value).to_parameter_msg()
            future = client.call_async(SetParameters.Request(parameters=[parameter]))
            if not self.spin_until(future.done, timeout_s):
                return f'{client.srv_name} did not answer within {timeout_s:g} s'
            result = future.result().results[0]
            return None if result.successful else result.reason
        finally:
            self._node.destroy_client(client)


def step_ms(status: FrameStatus) -> float:
    """Return the pipeline's own time for a frame, from the call of its step to the mask."""
    return sum(getattr(status, name) for name in _STAGES)
