# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Publishing serialised image messages, as a camera driver would."""

from __future__ import annotations

import math
import time
from typing import Callable

from rclpy.duration import Duration
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image

from lvs_ros.errors import ConfigurationError
from lvs_ros.node.image_messages import ns_to_stamp
from lvs_ros.tool_nodes.tool_node import ToolNode

RELIABILITIES = {'reliable': ReliabilityPolicy.RELIABLE,
                 'best_effort': ReliabilityPolicy.BEST_EFFORT}

_POLL_S = 0.02
# The publisher discovers a subscriber before that one discovers it; what is published in between
# is lost to a best effort subscriber.
_SETTLE_S = 0.5
_ACKNOWLEDGE_S = 2.0
# A best effort subscriber acknowledges nothing, and what it has not taken yet is in this process's
# shared memory.
_LINGER_S = 0.5


class ImagePublisher(ToolNode):
    """A node with one image publisher and, if wanted, one of ``/clock``.

    Images on their way are lost when it is closed: see :meth:`flush`.

    :param topic: where to publish.
    :param name: of the node.
    :param compressed: CompressedImage instead of Image.
    :param reliability: 'reliable' or 'best_effort'.
    :param depth: images that may wait for a slow subscriber.
    :param with_clock: publish ``/clock`` too.
    """

    def __init__(self, topic: str, *, name: str = 'lvs_play', compressed: bool = False,
                 reliability: str = 'reliable', depth: int = 10, with_clock: bool = False) -> None:
        super().__init__(name)
        with self._closed_on_error():
            self._type = CompressedImage if compressed else Image
            self._reliable = reliability == 'reliable'
            self._images: Publisher = self._node.create_publisher(
                self._type, topic, QoSProfile(depth=depth, reliability=RELIABILITIES[reliability]))
            self._clock: Publisher | None = (
                self._node.create_publisher(Clock, '/clock', 10) if with_clock else None)

    @property
    def topic(self) -> str:
        """The full name of the topic."""
        return self._images.topic_name

    def now_ns(self) -> int:
        """Return the time of the system's clock, nanoseconds."""
        return self._node.get_clock().now().nanoseconds

    def publish(self, cdr: bytes) -> None:
        """Publish a serialised message of the publisher's type."""
        self._images.publish(cdr)

    def publish_clock(self, time_ns: int) -> None:
        """Publish a simulated time, nanoseconds."""
        assert self._clock is not None
        self._clock.publish(Clock(clock=ns_to_stamp(time_ns)))

    def wait_for_subscribers(self, count: int, *, timeout_s: float | None = None,
                             on_wait: Callable[[], None] = lambda: None) -> None:
        """Return once so many subscribers are connected.

        :param timeout_s: None: no limit.
        :param on_wait: called once, if they are not there yet.
        :raises ConfigurationError: they did not come in time.
        """
        deadline_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
        if self._images.get_subscription_count() < count:
            on_wait()
        while self._images.get_subscription_count() < count:
            if time.monotonic() >= deadline_s:
                raise ConfigurationError(f'no subscriber on {self.topic} within {timeout_s:g} s; '
                                         + self._why_not())
            time.sleep(_POLL_S)
        time.sleep(_SETTLE_S)

    def flush(self) -> None:
        """Wait until what was published has arrived."""
        if self._reliable:
            self._images.wait_for_all_acked(Duration(seconds=_ACKNOWLEDGE_S))
        time.sleep(_LINGER_S)

    def _why_not(self) -> str:
        """Describe the subscribers in the ROS graph that do not match."""
        expected = f'sensor_msgs/msg/{self._type.__name__}'
        for found in self._node.get_subscriptions_info_by_topic(self.topic):
            if found.topic_type != expected:
                return (f'{found.node_name} subscribes to it as {found.topic_type}, this is '
                        f'{expected}: see --transport')
            if found.qos_profile.reliability == ReliabilityPolicy.RELIABLE and not self._reliable:
                return (f'{found.node_name} wants it reliable and this is best effort: '
                        'see --reliability')
        return ('is the node running, with the same ROS_DOMAIN_ID, and listening to this topic? '
                'See --to and --no-wait')
