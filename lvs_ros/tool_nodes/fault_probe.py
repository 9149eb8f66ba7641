# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Sends serialised messages, good ones and others, to segmentation nodes, and watches them."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any, NamedTuple

from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger

from lvs_ros.msg import FrameStatus
from lvs_ros.node.image_messages import stamp_to_ns
from lvs_ros.node.serialized_images import read_image
from lvs_ros.tool_nodes.round_trips import RoundTrips

QUEUE = 10
_TYPES = {'image_raw': Image, 'image_raw/compressed': CompressedImage}


class Mask(NamedTuple):
    """A mask that came.

    :param stamp_ns: of its header
    :param size: (width, height)
    :param digest: of its pixels
    """

    stamp_ns: int
    size: tuple[int, int]
    digest: str


@dataclasses.dataclass
class Target:
    """A segmentation node that is probed.

    :param name: of the node
    :param publisher: of the messages to it
    :param reset_client: client of its service ~/reset
    :param masks: that came
    :param statuses: that came, by stamp, nanoseconds
    :param diagnostics: the latest values on /diagnostics
    :param longest_diagnosis: characters of the longest message there
    """

    name: str
    publisher: Any
    reset_client: Any
    masks: list[Mask] = dataclasses.field(default_factory=list)
    statuses: dict[int, FrameStatus] = dataclasses.field(default_factory=dict)
    diagnostics: dict[str, str] = dataclasses.field(default_factory=dict)
    longest_diagnosis: int = 0

    @property
    def is_connected(self) -> bool:
        """Whether messages reach it, and it can be reset."""
        return self.publisher.get_subscription_count() > 0 and self.reset_client.service_is_ready()

    def forget(self) -> None:
        """Forget masks and statuses that have come."""
        self.masks.clear()
        self.statuses.clear()

    def send(self, cdr: bytes) -> None:
        """Publish a serialised message."""
        self.publisher.publish(cdr)

    def reset(self) -> Any:
        """Call ~/reset; return the future of its response."""
        return self.reset_client.call_async(Trigger.Request())

    def answer_to(self, stamp_ns: int) -> Mask | None:
        """Return the mask with this stamp once its status is there, too."""
        if stamp_ns not in self.statuses:
            return None
        return next((mask for mask in self.masks if mask.stamp_ns == stamp_ns), None)

    def on_mask(self, cdr: bytes) -> None:
        """Record a mask."""
        header, frame = read_image(cdr)
        self.masks.append(Mask(header.stamp_ns, frame.size,
                               hashlib.sha256(frame.image.tobytes()).hexdigest()))

    def on_status(self, status: FrameStatus) -> None:
        """Record a status."""
        self.statuses[stamp_to_ns(status.header.stamp)] = status

    def on_diagnostics(self, array: DiagnosticArray) -> None:
        """Record the diagnostics of this node."""
        for status in array.status:
            if status.hardware_id == self.name:
                self.longest_diagnosis = max(self.longest_diagnosis, len(status.message))
                self.diagnostics = {pair.key: pair.value for pair in status.values}


class FaultProbe(RoundTrips):
    """Sends whatever bytes it is given."""

    def add_target(self, name: str, topic: str) -> Target:
        """Create the publisher, subscriptions and client for a node.

        :param topic: 'image_raw' or 'image_raw/compressed'
        """
        node: Any = self._node
        target = Target(name, node.create_publisher(_TYPES[topic], topic, QUEUE),
                        node.create_client(Trigger, f'/{name}/reset'))
        node.create_subscription(Image, f'/{name}/mask', target.on_mask, QUEUE, raw=True)
        node.create_subscription(FrameStatus, f'/{name}/status', target.on_status, QUEUE)
        node.create_subscription(DiagnosticArray, '/diagnostics', target.on_diagnostics, QUEUE)
        return target


def reliable_parameters(name: str, topic: str) -> dict[str, Any]:
    """Return parameters with which a node loses neither messages nor masks."""
    return {f'qos_overrides./{topic}.subscription.reliability': 'reliable',
            f'qos_overrides./{topic}.subscription.depth': QUEUE,
            f'qos_overrides./{name}/mask.publisher.depth': QUEUE}
