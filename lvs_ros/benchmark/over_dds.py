# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the node adds to the pipeline's own time, beside a bare echo of the same images.

Camera, node and echoes are four processes. The camera sends to one of the others at a time, in
rounds: what else the computer does falls on all of them alike.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Sequence

from lvs_ros.benchmark.dds_camera import Camera, Peer, local_environment, street_images
from lvs_ros.benchmark.durations import Durations
from lvs_ros.benchmark.progress import progress
from lvs_ros.errors import ros_needed
from lvs_ros.pipeline import PipelineOptions
from lvs_ros.pipeline.memory import keep_freed_memory

_ROUNDS = 4
_FEWEST = 10
_ANSWER_S, _STATUS_S = 60.0, 2.0


@dataclasses.dataclass(frozen=True)
class OverDds:
    """The way of images over DDS, from their stamp to the arrival of the answer.

    :param node_ms: from the stamp of an image to its mask, without what the pipeline's step took
        (``~/status`` tells it, the wait for the cores included): of the frames that found the node
        idle, so that no other frame's step is part of it
    :param echo_ms: a bare rclpy node that answers each image with itself
    :param mask_echo_ms: one that answers with a mask as large as the node's: less to send
    :param latency_ms: from the stamp to the mask
    :param sent: images sent to the node at the camera's rate
    :param masks: how many of them got a mask
    """

    node_ms: Durations
    echo_ms: Durations
    mask_echo_ms: Durations
    latency_ms: Durations
    sent: int
    masks: int


def measure_over_dds(options: PipelineOptions, *, width: int, height: int, rate_hz: float,
                     frames: int, domain_id: int | None = None) -> OverDds:
    """Start the node and two echoes, and send them a drive along the synthetic street.

    :param options: the node's parameters
    :param width: of the images, pixels
    :param height: of the images, pixels
    :param rate_hz: of the camera
    :param frames: to be sent to each of them
    :param domain_id: the ROS domain; None = one in which nobody is
    :raises ConfigurationError: without ROS 2, or for a size that the street cannot be drawn at
    :raises BenchmarkError: when a process does not start, ends or does not answer
    """
    with ros_needed('the way over DDS'):
        from lvs_ros.tool_nodes.processes import start_echo_node, start_segmentation_node
        from lvs_ros.tool_nodes.round_trips import RoundTrips
    size = width, height
    mask_size = size if options.output_size == (0, 0) else options.output_size
    images = street_images(size, rate_hz=rate_hz)
    keep_freed_memory()
    with contextlib.ExitStack() as stack:
        stack.enter_context(local_environment())
        trips = stack.enter_context(RoundTrips.in_free_domain() if domain_id is None
                                    else RoundTrips(domain_id=domain_id))
        domain_id = trips.domain_id
        node = stack.enter_context(
            start_segmentation_node(options, size=size, domain_id=domain_id))
        trips.watch_status('/lvs/status')
        peers = [Peer(node, trips.add(image_topic='/image_raw', answer_topic='/lvs/mask'))]
        for name, answer_size in (('echo', None), ('mask_echo', mask_size)):
            process = stack.enter_context(
                start_echo_node(name, mask_size=answer_size, domain_id=domain_id))
            peers.append(Peer(process, trips.add(image_topic=f'/{name}/image_raw',
                                                 answer_topic=f'/{name}/image')))
        return _measure(Camera(trips, images), peers, frames, rate_hz)


def _measure(camera: Camera, peers: Sequence[Peer], frames: int, rate_hz: float) -> OverDds:
    with progress('waiting for the node and the echoes', len(peers)) as update:
        for peer in peers:
            camera.wait_for(peer)
            update()
    rounds = _split(frames, _ROUNDS)
    with progress('measuring the way over DDS', len(rounds) * len(peers)) as update:
        for count in rounds:
            for peer in peers:
                camera.film(peer, count, rate_hz=rate_hz)
                # S_h may still run: nobody else shall be measured beside it.
                camera.let_calm_down(peer)
                update()
    node, echo, mask_echo = peers
    return OverDds(
        node_ms=Durations.of(_added_ms(camera, node, wanted=min(_FEWEST, frames))),
        echo_ms=_durations(echo), mask_echo_ms=_durations(mask_echo), latency_ms=_durations(node),
        sent=len(node.measured_ns), masks=len(node.latencies_ms()))


def _durations(peer: Peer) -> Durations:
    latencies_ms = peer.latencies_ms()
    if not latencies_ms:
        raise peer.failure(f'answered none of {len(peer.measured_ns)} images in time; try a lower '
                           'rate or a smaller size')
    return Durations.of(latencies_ms)


def _added_ms(camera: Camera, node: Peer, *, wanted: int) -> list[float]:
    """Return what node and DDS add to the step, of frames that waited for no other frame."""
    from lvs_ros.tool_nodes.round_trips import step_ms
    stamps_ns = node.unqueued_ns()
    deadline_s = time.monotonic() + _ANSWER_S
    while len(stamps_ns) < wanted and not (stamps_ns and time.monotonic() > deadline_s):
        # The node is slower than the camera: now the camera waits.
        stamp_ns = camera.ask(node, _ANSWER_S)
        if stamp_ns is None:
            raise node.failure(f'did not answer an image within {_ANSWER_S:g} s')
        stamps_ns.append(stamp_ns)
    statuses = camera.trips.statuses
    camera.trips.spin_until(lambda: statuses.keys() >= set(stamps_ns), _STATUS_S)
    latencies = ((node.answerer.latency_ms(stamp_ns), statuses.get(stamp_ns))
                 for stamp_ns in stamps_ns)
    return [latency_ms - step_ms(status) for latency_ms, status in latencies
            if latency_ms is not None and status is not None]


def _split(frames: int, rounds: int) -> list[int]:
    """Share out frames among rounds, each of one at least."""
    rounds = min(frames, rounds)
    return [frames // rounds + (number < frames % rounds) for number in range(rounds)]
