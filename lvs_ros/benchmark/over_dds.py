# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the node adds to the pipeline's own time, beside a bare echo of the same images.

Camera, node and echo are three processes. The camera sends to one of the others at a time, in
rounds: what else the computer does falls on both alike.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence

import numpy as np

from lvs_ros.benchmark.dds_camera import (IDLE_S, Camera, Peer, failure, image_messages,
                                          local_environment)
from lvs_ros.benchmark.durations import Durations
from lvs_ros.benchmark.plan import Plan
from lvs_ros.benchmark.progress import progress
from lvs_ros.benchmark.rows import share
from lvs_ros.errors import ros_needed

_ROUNDS = 4
_STATUS_S = 2.0


@dataclasses.dataclass(frozen=True)
class OverDds:
    """The way of images over DDS, from their stamp to the arrival of the answer.

    :param latency_ms: from the stamp of an image to its mask
    :param node_ms: of that, all but the pipeline's step, which ``~/status`` tells
    :param echo_ms: a bare rclpy node that answers each image with itself
    :param sent: images sent to the node at the camera's rate
    :param masks: how many of them got a mask
    """

    latency_ms: Durations
    node_ms: Durations
    echo_ms: Durations
    sent: int
    masks: int


def measure_over_dds(plan: Plan, clip: Sequence[np.ndarray], *, domain_id: int | None = None
                     ) -> OverDds:
    """Start the node and an echo, and send them images, to and fro.

    :param plan: the node's parameters, the camera's rate, and how many frames are sent to each
    :param clip: consecutive images, (H, W, 3) uint8 RGB, at least two
    :param domain_id: the ROS domain; None = one without other nodes
    :raises ConfigurationError: without ROS 2
    :raises BenchmarkError: when a process does not start, ends or does not answer
    """
    with ros_needed('the way over DDS'):
        from lvs_ros.tool_nodes.processes import start_echo_node, start_segmentation_node
        from lvs_ros.tool_nodes.round_trips import RoundTrips
    images = image_messages(clip)
    size = clip[0].shape[1], clip[0].shape[0]
    with contextlib.ExitStack() as stack:
        stack.enter_context(local_environment())
        trips = stack.enter_context(RoundTrips.in_free_domain() if domain_id is None
                                    else RoundTrips(domain_id=domain_id))
        trips.watch_status('/lvs/status')
        node = Peer(stack.enter_context(start_segmentation_node(
            plan.options, size=size, domain_id=trips.domain_id)),
            trips.add(image_topic='/image_raw', answer_topic='/lvs/mask'))
        echo = Peer(stack.enter_context(start_echo_node('echo', domain_id=trips.domain_id)),
                    trips.add(image_topic='/echo/image_raw', answer_topic='/echo/image'))
        camera = Camera(trips, images)
        _film(camera, (node, echo), plan)
        return OverDds(
            latency_ms=_durations(node, node.latencies_ms()),
            node_ms=_durations(node, _added_ms(camera, node)),
            echo_ms=_durations(echo, echo.latencies_ms()),
            sent=len(node.measured_ns), masks=len(node.latencies_ms()))


def _film(camera: Camera, peers: tuple[Peer, ...], plan: Plan) -> None:
    with progress('measuring the way over DDS', len(peers) * (1 + _ROUNDS)) as update:
        for peer in peers:
            camera.wait_for(peer)
            update()
        for number in range(_ROUNDS):
            for peer in peers:
                camera.film(peer, share(plan.frames, number, _ROUNDS), rate_hz=plan.rate_hz)
                # S_h may still run: nobody else shall be measured beside it.
                peer.process.wait_until_idle(IDLE_S)
                update()


def _durations(peer: Peer, durations_ms: list[float]) -> Durations:
    if not durations_ms:
        raise failure(peer.process, f'answered none of {len(peer.measured_ns)} images in time; '
                                    'try a lower rate or a smaller size')
    return Durations.of(durations_ms)


def _added_ms(camera: Camera, node: Peer) -> list[float]:
    """Return what node and DDS add to the step of each frame, milliseconds."""
    from lvs_ros.tool_nodes.round_trips import step_ms
    answered_ns, statuses = node.answerer.answered_ns, camera.trips.statuses
    camera.trips.spin_until(lambda: statuses.keys() >= answered_ns.keys(), _STATUS_S)
    return [(answered_ns[stamp_ns] - stamp_ns) / 1e6 - step_ms(statuses[stamp_ns])
            for stamp_ns in node.measured_ns if stamp_ns in answered_ns and stamp_ns in statuses]
