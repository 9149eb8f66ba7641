# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A long run of the node over DDS: does every image get its mask, and does its memory stay flat?

An image is sent when the mask of the last one has come. On the way there is what happens on a
vehicle: another threshold, and for a while images of another size.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lvs_ros.benchmark.dds_camera import (Camera, Peer, failure, local_environment,
                                          street_images)
from lvs_ros.benchmark.durations import Durations
from lvs_ros.benchmark.memory_growth import MemorySample
from lvs_ros.benchmark.progress import progress
from lvs_ros.errors import ConfigurationError, ros_needed
from lvs_ros.options import PipelineOptions

if TYPE_CHECKING:
    from sensor_msgs.msg import Image

FEWEST_FRAMES = 40
OTHER_SIZE = 0.2, 0.25
"""Where images of another size begin and end, as shares of the frames."""

_SAMPLES = 400
_RATE_HZ = 15.0    # at which the street is drawn
_ANSWER_S, _STATUS_S = 10.0, 5.0
_MOST_MISSED = 20    # one after another: the node does not answer any more
_CHANGES = 20    # of the threshold
_SMALLEST = 64, 48    # the street's
_MEBIBYTE = 1 << 20


@dataclasses.dataclass(frozen=True)
class SoakRun:
    """What a run was like.

    :param frames: images sent
    :param masks: masks that came
    :param dropped: images that the node says it lost or could not use
    :param key_frames: masks of key frames
    :param slow_failures: failures of S_h
    :param latency_ms: from the stamp to the mask
    :param memory: of the node's process
    :param duration_s: of the whole run
    """

    frames: int
    masks: int
    dropped: int
    key_frames: int
    slow_failures: int
    latency_ms: Durations
    memory: tuple[MemorySample, ...]
    duration_s: float


def run_soak(options: PipelineOptions, *, size: tuple[int, int], frames: int,
             domain_id: int | None = None) -> SoakRun:
    """Run the node for so many frames.

    :param options: the node's parameters
    :param size: (width, height) of the images, pixels
    :param frames: how many to send
    :param domain_id: the ROS domain; None = one without other nodes
    :raises ConfigurationError: without ROS 2, for too few frames, or for a size that the street
        cannot be drawn at
    :raises BenchmarkError: when the node does not start, ends or answers no more
    """
    if frames < FEWEST_FRAMES:
        raise ConfigurationError(f'--frames {frames}: expected {FEWEST_FRAMES} or more')
    with ros_needed('the soak'):
        from lvs_ros.tool_nodes.processes import start_segmentation_node
        from lvs_ros.tool_nodes.round_trips import RoundTrips
    images = street_images(size, rate_hz=_RATE_HZ, most=45)
    width, height = (max(least, length * 3 // 4) for length, least in zip(size, _SMALLEST))
    others = street_images((width, height), rate_hz=_RATE_HZ, most=4)
    with contextlib.ExitStack() as stack:
        stack.enter_context(local_environment())
        trips = stack.enter_context(RoundTrips.in_free_domain() if domain_id is None
                                    else RoundTrips(domain_id=domain_id))
        process = stack.enter_context(
            start_segmentation_node(options, size=size, domain_id=trips.domain_id))
        trips.watch_status('/lvs/status')
        node = Peer(process, trips.add(image_topic='/image_raw', answer_topic='/lvs/mask'))
        camera = Camera(trips, images)
        with progress('waiting for the node', 1):
            camera.wait_for(node)
        start_s = time.monotonic()
        memory = _send_all(camera, node, frames, threshold=options.threshold, others=others)
        duration_s = time.monotonic() - start_s
        statuses, stamps_ns = trips.statuses, node.measured_ns
        if not stamps_ns:
            raise failure(process, f'answered none of {frames} images')
        trips.spin_until(lambda: stamps_ns[-1] in statuses, _STATUS_S)
        last = statuses[max(statuses)]
        return SoakRun(
            frames=frames, masks=len(stamps_ns), dropped=last.frames_dropped,
            key_frames=sum(status.key_frame for status in statuses.values()),
            slow_failures=last.slow_track_failures,
            latency_ms=Durations.of(node.latencies_ms()), memory=tuple(memory),
            duration_s=duration_s)


def _send_all(camera: Camera, node: Peer, frames: int, *, threshold: float,
              others: Sequence[Image]) -> list[MemorySample]:
    """Send so many images; return the memory of the node meanwhile.

    :param threshold: the node's; it and half of it are set alternately
    :param others: images of another size
    """
    process, images = node.process, camera.images
    missed, memory = 0, []
    sampled, changed = max(1, frames // _SAMPLES), frames // _CHANGES
    with progress('soaking', frames) as update:
        for number in range(1, frames + 1):
            is_other = OTHER_SIZE[0] <= number / frames < OTHER_SIZE[1]
            camera.images = others if is_other else images
            if number % changed == 0:
                value = threshold / (1 + number // changed % 2)
                refusal = camera.trips.set_parameter('/lvs', 'threshold', value, _ANSWER_S)
                if refusal is not None:
                    raise failure(process, f'does not take the threshold {value:g}: {refusal}')
            stamp_ns = camera.ask(node, _ANSWER_S)
            if stamp_ns is not None:
                node.measured_ns.append(stamp_ns)
            missed = missed + 1 if stamp_ns is None else 0
            if missed == _MOST_MISSED:
                raise failure(process, f'has not answered {missed} images one after another')
            if number % sampled == 0 or number == frames:
                memory.append(MemorySample(number, process.memory_bytes() / _MEBIBYTE))
            update()
    return memory
