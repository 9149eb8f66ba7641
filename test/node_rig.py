# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A segmentation node in this process, and a peer that is its camera and its audience."""

import array
import pathlib
import threading
import time
from typing import Any, Callable, Iterator, Optional

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from listener import TIMEOUT_S, Listener
import numpy as np
import rclpy
from rclpy.context import Context
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
import ros_domains
from sensor_msgs.msg import CompressedImage, Image

from lvs_ros.msg import FrameStatus
from lvs_ros.node.frame_executor import FrameExecutor
from lvs_ros.node.segmentation_node import SegmentationNode
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.build import build_pipeline
from lvs_ros.pipeline.pipeline import SegmentationPipeline

HEIGHT, WIDTH = 48, 64
SECOND = 1_000_000_000
PipelineFactory = Callable[[PipelineOptions], SegmentationPipeline]


def picture(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Return a colourful random image of blocks, (H, W, 3) uint8 RGB."""
    blocks = np.random.default_rng(seed).integers(
        0, 256, (-(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    return np.kron(blocks, np.ones((8, 8, 1), np.uint8))[:height, :width]


def image_message(image: np.ndarray, *, encoding: str = 'rgb8', stamp_ns: int = SECOND,
                  padding: int = 0) -> Image:
    """Make a message by hand, with rows that end in ``padding`` bytes of no meaning."""
    rows = np.ascontiguousarray(image).view(np.uint8).reshape(len(image), -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xA5)
    message = Image(height=image.shape[0], width=image.shape[1], encoding=encoding,
                    step=padded.shape[1], data=array.array('B', padded.tobytes()))
    message.header.frame_id = 'camera_front'
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, SECOND)
    return message


def pixels(message: Image) -> np.ndarray:
    """Return the pixels of a mono8 or rgb8 message without padding."""
    channels = {'mono8': (), 'rgb8': (3,)}[message.encoding]
    return np.array(message.data, np.uint8).reshape(message.height, message.width, *channels)


class Peer(Listener):
    """Camera and audience of a node, in a context of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0
        self.camera: Any = None
        self.open_camera()

    def open_camera(self, kind: Any = Image, topic: str = 'image_raw') -> None:
        """Start to publish, as a camera that is started (again) does."""
        self.close_camera()
        self.camera = self._node.create_publisher(
            kind, topic, QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))

    def close_camera(self) -> None:
        """Stop to publish."""
        if self.camera is not None:
            self._node.destroy_publisher(self.camera)
            self.camera = None

    def publish(self, message: Any) -> None:
        self.camera.publish(message)
        self.sent += 1

    def advertise(self, kind: Any, topic: str) -> Any:
        """Return a publisher of something besides the images."""
        return self._node.create_publisher(
            kind, topic, QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT))

    def call(self, kind: Any, service: str, request: Any) -> Any:
        """Call a service and return its response."""
        client: Any = self._node.create_client(kind, service)
        try:
            assert client.wait_for_service(TIMEOUT_S), f'there is no service {service}'
            done = threading.Event()
            future = client.call_async(request)
            future.add_done_callback(lambda _: done.set())
            assert done.wait(TIMEOUT_S), f'{service} does not answer'
            return future.result()
        finally:
            self._node.destroy_client(client)

    def diagnostics(self, matches: Callable[[DiagnosticStatus], bool]) -> DiagnosticStatus:
        """Return the first diagnosis from now on that matches."""
        start = len(self.received['/diagnostics'])
        with self._changed:
            found: list[DiagnosticStatus] = []

            def look() -> bool:
                statuses = [array.status[0] for array in self.received['/diagnostics'][start:]]
                found[:] = [status for status in statuses if matches(status)]
                return bool(found)

            assert self._changed.wait_for(look, timeout=TIMEOUT_S), (
                [array.status[0] for array in self.received['/diagnostics'][-3:]])
            return found[0]


def values(status: DiagnosticStatus) -> dict[str, str]:
    return {pair.key: pair.value for pair in status.values}


class Rig:
    """A node that spins in a thread, with the peer connected to it.

    :param parameters: start-up parameters besides the model.
    """

    def __init__(self, model: pathlib.Path, *, pipeline_factory: PipelineFactory = build_pipeline,
                 autostart: bool = True, transport: str = 'raw', **parameters: Any) -> None:
        settings = {'model': str(model), 'warm_up_size': [WIDTH, HEIGHT], 'cpu_threads': 1,
                    'diagnostics_period_s': 0.1,
                    'input_transport': transport} | parameters
        self.context = Context()
        rclpy.init(context=self.context)
        self.node = SegmentationNode(
            context=self.context, pipeline_factory=pipeline_factory,
            parameter_overrides=[Parameter(name, value=value)
                                 for name, value in settings.items()])
        self.executor = FrameExecutor(self.node.lose_frame, context=self.context)
        self.executor.add_node(self.node)
        self._thread = threading.Thread(target=self.executor.spin)
        self._thread.start()
        self.peer = Peer()
        if transport == 'compressed':
            self.peer.open_camera(CompressedImage, 'image_raw/compressed')
        for kind, topic in ((Image, '/lvs/mask'), (FrameStatus, '/lvs/status'),
                            (DiagnosticArray, '/diagnostics')):
            self.peer.subscribe(kind, topic)
        if autostart:
            assert self.in_node(self.node.autostart)
            self.connect()

    def in_node(self, work: Callable[[], Any]) -> Any:
        """Run something in the node's thread, between two callbacks."""
        done = threading.Event()
        task = self.executor.create_task(work)
        task.add_done_callback(lambda _: done.set())
        assert done.wait(TIMEOUT_S)
        return task.result()

    def connect(self, *topics: str) -> None:
        """Wait until camera, node and audience have found each other."""
        wanted = {'/lvs/mask', '/lvs/status', *topics}

        def connected() -> bool:
            publishers = [publisher for publisher in self.node.publishers
                          if publisher.topic_name in wanted]
            subscription = next((subscription for subscription in self.node.subscriptions
                                 if 'image_raw' in subscription.topic_name), None)
            return (len(publishers) == len(wanted) and subscription is not None
                    and all(publisher.get_subscription_count() for publisher in publishers)
                    and subscription.get_publisher_count() == 1
                    and self.peer.camera.get_subscription_count() == 1)

        wait_until(connected)

    def restart_camera(self) -> None:
        """Let the node see that its camera has gone, and connect it to the next one."""
        self.peer.close_camera()
        subscription = next(subscription for subscription in self.node.subscriptions
                            if 'image_raw' in subscription.topic_name)
        wait_until(lambda: subscription.get_publisher_count() == 0)
        self.peer.open_camera()
        self.connect()

    def send(self, message: Any) -> tuple[Image, FrameStatus]:
        """Publish an image; return its mask and status."""
        mask_count = len(self.peer.received['/lvs/mask'])
        status_count = len(self.peer.received['/lvs/status'])
        self.peer.publish(message)
        return (self.peer.wait_for('/lvs/mask', mask_count + 1)[mask_count],
                self.peer.wait_for('/lvs/status', status_count + 1)[status_count])

    def close(self) -> None:
        self.peer.close()
        self.in_node(self.node.destroy_node)
        self.executor.shutdown()
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive()
        self.context.try_shutdown()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what rclpy has no event for: the state of the graph."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline_s, 'waited in vain'
        threading.Event().wait(0.01)


def lone_rig(model: pathlib.Path, **arguments: Any) -> Iterator[Rig]:
    """Body of a fixture of a module: one node for all tests that leave it as it was."""
    with ros_domains.entered():
        rig = Rig(model, **arguments)
        yield rig
        rig.close()


class Rigs:
    """Makes rigs for a test, and closes them after it."""

    def __init__(self, model: pathlib.Path) -> None:
        self._model = model
        self._rigs: list[Rig] = []

    def __call__(self, model: Optional[pathlib.Path] = None, **arguments: Any) -> Rig:
        rig = Rig(model or self._model, **arguments)
        self._rigs.append(rig)
        return rig

    def close_all(self) -> None:
        for rig in self._rigs:
            rig.close()


def rigs(model: pathlib.Path) -> Iterator[Rigs]:
    """Body of the fixture ``make_rig``."""
    made = Rigs(model)
    yield made
    made.close_all()
