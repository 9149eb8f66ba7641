# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Listens to topics, as another node of the system would."""

import threading
from typing import Any, Callable

import rclpy
from rclpy.context import Context
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

TIMEOUT_S = 60
"""Longer than anything takes unless it is broken."""


class Listener:
    """Subscribes to topics in a thread of its own, and collects what comes."""

    def __init__(self) -> None:
        self._context = Context()
        rclpy.init(context=self._context)
        self._node = Node('listener', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._changed = threading.Condition()
        self.received: dict[str, list[Any]] = {}
        self._publishers: dict[str, int] = {}
        self._subscriptions: dict[str, Any] = {}
        self._thread = threading.Thread(target=self._executor.spin)
        self._thread.start()

    def subscribe(self, kind: Any, topic: str, *, reliable: bool = True) -> None:
        reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        self.received[topic] = []
        self._subscriptions[topic] = self._node.create_subscription(
            kind, topic, lambda message: self._take(topic, message),
            QoSProfile(depth=1000, reliability=reliability),
            event_callbacks=SubscriptionEventCallbacks(
                matched=lambda info: self._match(topic, info.current_count)))

    def unsubscribe(self, *topics: str) -> None:
        """Listen to these topics no longer."""
        for topic in topics:
            self._node.destroy_subscription(self._subscriptions.pop(topic))

    def now_ns(self) -> int:
        return self._node.get_clock().now().nanoseconds

    def wait_for_publishers(self) -> None:
        """Return once every topic has a publisher: what one sends before that is not heard."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: all(self._publishers.get(topic) for topic in self.received),
                timeout=TIMEOUT_S), f'of {list(self.received)} only {self._publishers} came'

    def wait_for(self, topic: str, count: int) -> list[Any]:
        """Return the messages of a topic, once there are so many."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: len(self.received[topic]) >= count, timeout=TIMEOUT_S), (
                f'{len(self.received[topic])} of {count} messages came on {topic}')
            return list(self.received[topic])

    def wait_until(self, topic: str, matches: Callable[[Any], bool], *,
                   timeout_s: float = TIMEOUT_S) -> bool:
        """Wait for a message of a topic that matches; return whether it has come."""
        with self._changed:
            return self._changed.wait_for(
                lambda: any(map(matches, self.received[topic])), timeout=timeout_s)

    def close(self) -> None:
        self._executor.shutdown()
        self._thread.join()
        self._node.destroy_node()
        self._context.shutdown()

    def _match(self, topic: str, publishers: int) -> None:
        with self._changed:
            self._publishers[topic] = publishers
            self._changed.notify_all()

    def _take(self, topic: str, message: Any) -> None:
        with self._changed:
            self.received[topic].append(message)
            self._changed.notify_all()
