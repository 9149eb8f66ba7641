# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A camera, and the processes that answer its images over DDS."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lvs_ros.benchmark.clip import LENGTH, street_clip
from lvs_ros.benchmark.errors import BenchmarkError
from lvs_ros.shared_memory import prepare_shared_memory

if TYPE_CHECKING:
    from sensor_msgs.msg import Image

    from lvs_ros.tool_nodes.processes import NodeProcess
    from lvs_ros.tool_nodes.round_trips import Answerer, RoundTrips

_START_S, _FIRST_ANSWER_S, _LAST_ANSWERS_S = 600.0, 600.0, 2.0
IDLE_S = 30.0
"""How long to wait, at most, for what a process still does in the background, like S_h."""

_SETTLE_S = 0.5
_FIRST = 2    # of a round: caches and clock rate are those of a pause
_CLIP_BYTES = 64 << 20


@dataclasses.dataclass
class Peer:
    """A process that answers images.

    :param measured_ns: stamps of the images that count
    """

    process: NodeProcess
    answerer: Answerer
    measured_ns: list[int] = dataclasses.field(default_factory=list)

    def latencies_ms(self) -> list[float]:
        """Return the time to the answer of each image that got one."""
        latencies = [self.answerer.latency_ms(stamp_ns) for stamp_ns in self.measured_ns]
        return [latency_ms for latency_ms in latencies if latency_ms is not None]


def check_alive(process: NodeProcess) -> bool:
    """Raise BenchmarkError if the process has ended; return False."""
    if process.exit_code is not None:
        raise failure(process, f'ended with exit code {process.exit_code}')
    return False


def failure(process: NodeProcess, what: str) -> BenchmarkError:
    """Return the error that says so, with the last lines that the process has written."""
    return BenchmarkError(f'{process.name} {what}. Its last output:\n{process.last_output()}')


class Camera:
    """Sends images, over and over, to whom it is told to.

    :param images: consecutive ones, sensor_msgs/Image
    """

    def __init__(self, trips: RoundTrips, images: Sequence[Image]) -> None:
        self.trips = trips
        self.images = images
        self._number = 0

    def send(self, peer: Peer) -> int:
        """Send the next image; return its stamp, nanoseconds."""
        self._number += 1
        return peer.answerer.send(self.images[self._number % len(self.images)])

    def film(self, peer: Peer, count: int, *, rate_hz: float) -> None:
        """Send images at a steady rate; all but the first few are measured."""
        due_s = time.monotonic()
        for number in range(_FIRST + count):
            stamp_ns = self.send(peer)
            if number >= _FIRST:
                peer.measured_ns.append(stamp_ns)
            due_s += 1 / rate_hz
            self.trips.spin(due_s - time.monotonic())
        self.trips.spin_until(lambda: stamp_ns in peer.answerer.answered_ns, _LAST_ANSWERS_S)
        check_alive(peer.process)

    def ask(self, peer: Peer, timeout_s: float) -> int | None:
        """Send an image and wait for its answer.

        :returns: the stamp of the image, nanoseconds; None if no answer came in time
        """
        stamp_ns = self.send(peer)
        answered = self._until(peer, lambda: stamp_ns in peer.answerer.answered_ns, timeout_s)
        return stamp_ns if answered else None

    def wait_for(self, peer: Peer) -> None:
        """Return once it is connected, has answered for the first time and has calmed down."""
        if not self._until(peer, lambda: peer.answerer.is_connected, _START_S):
            raise failure(peer.process, f'was not ready within {_START_S:g} s')
        # One side learns of the other first: what is sent in between may get lost.
        self.trips.spin(_SETTLE_S)
        if self.ask(peer, _FIRST_ANSWER_S) is None:
            raise failure(peer.process,
                          f'did not answer an image within {_FIRST_ANSWER_S:g} s')
        peer.process.wait_until_idle(IDLE_S)

    def _until(self, peer: Peer, is_done: Callable[[], bool], timeout_s: float) -> bool:
        return self.trips.spin_until(lambda: is_done() or check_alive(peer.process),
                                     timeout_s)


def street_images(size: tuple[int, int], *, rate_hz: float, most: int = LENGTH) -> list[Image]:
    """Draw a drive along the synthetic street, to and fro, for :class:`Camera`.

    :param size: (width, height) in pixels
    :param most: how many images to draw at most
    :raises ConfigurationError: when the street cannot be drawn at this size
    """
    return image_messages(street_clip(
        size, rate_hz=rate_hz, length=min(most, _fitting(3 * size[0] * size[1]))))


def image_messages(clip: Sequence[np.ndarray]) -> list[Image]:
    """Make messages of images, as many of them as memory is given for, to and fro.

    :param clip: consecutive ones, (H, W, 3) uint8 RGB
    """
    from std_msgs.msg import Header

    from lvs_ros.node.image_messages import encode_image
    clip = clip[:_fitting(clip[0].nbytes)]
    there = [encode_image(image, Header(frame_id='camera')) for image in clip]
    return [*there, *there[-2:0:-1]]


def _fitting(image_bytes: int) -> int:
    return max(2, _CLIP_BYTES // image_bytes)


@contextlib.contextmanager
def local_environment() -> Iterator[None]:
    """Let this process and those it starts meet on this computer, and exchange large images."""
    before = dict(os.environ)
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    prepare_shared_memory('lvs')
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
