# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The calibration beside the masks: its pixels, its stamps, and what the diagnostics say."""

import pathlib
from typing import Any, Iterator

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from diagnostic_msgs.msg import DiagnosticStatus  # noqa: E402
import node_rig  # noqa: E402
from node_rig import (HEIGHT, SECOND, WIDTH, Rig, Rigs, image_message, picture,  # noqa: E402
                      values, wait_until)
import rclpy  # noqa: E402
from rclpy.context import Context  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image  # noqa: E402

from lvs_ros.node.camera_info import CameraInfoRelay, scaled, topic_beside  # noqa: E402
from lvs_ros.node.serialized_images import SerializedHeader  # noqa: E402

TOPIC = '/lvs/camera_info'


@pytest.fixture
def make_rig(ros_domain: int, tiny_model: pathlib.Path) -> Iterator[Rigs]:
    yield from node_rig.rigs(tiny_model)


def calibration(stamp_ns: int = SECOND, width: int = WIDTH, height: int = HEIGHT) -> CameraInfo:
    """Return that of a camera whose rectified image is shifted and the right one of a pair."""
    info = CameraInfo(width=width, height=height, distortion_model='plumb_bob',
                      d=[0.1, -0.2, 0.01, 0.02, 0.0], r=np.eye(3).ravel())
    info.k = [50.0, 0.0, width / 2 - 0.5, 0.0, 52.0, height / 2 - 0.5, 0.0, 0.0, 1.0]
    info.p = [48.0, 0.0, width / 2 + 1, -6.0, 0.0, 49.0, height / 2 + 2, 3.0, 0.0, 0.0, 1.0, 0.0]
    info.header.frame_id = 'camera_front'
    info.header.stamp.sec, info.header.stamp.nanosec = divmod(stamp_ns, SECOND)
    return info


def projected(matrix: Any, point: np.ndarray) -> np.ndarray:
    """Return the pixel of a point."""
    u, v, w = np.reshape(matrix, (3, -1)) @ point
    return np.array([u / w, v / w])


def test_points_fall_on_the_pixels_of_the_resized_image() -> None:
    info = calibration(width=2000, height=1500)
    info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = 101, 53, 1200, 900
    info.binning_x, info.binning_y = 2, 3
    # The image has 600x300 pixels: its region of interest, binned. It becomes one of 300x100.
    small = scaled(info, 300 / 600, 100 / 300)
    assert (small.width, small.height) == (300, 100)
    assert (small.roi.width, small.roi.x_offset) == (0, 0), 'the whole image'
    assert max(small.binning_x, small.binning_y) <= 1
    for matrix, new, point in ((info.k, small.k, [0.3, -0.2, 2.0]),
                               (info.p, small.p, [0.3, -0.2, 2.0, 1.0])):
        full = projected(matrix, np.array(point))
        in_image = (full - [101, 53]) / [2, 3]    # REP 104
        np.testing.assert_allclose(projected(new, np.array(point)), in_image * [0.5, 1 / 3])
    np.testing.assert_array_equal(small.d, info.d)
    np.testing.assert_array_equal(small.r, info.r)
    assert small.distortion_model == info.distortion_model and small.header == info.header


def test_a_camera_without_calibration_stays_one() -> None:
    small = scaled(CameraInfo(width=64, height=48), 0.5, 0.5)
    assert (small.width, small.height) == (32, 24)
    assert not small.k.any() and not small.p.any()


@pytest.mark.parametrize('image_topic, expected', [
    ('/front/image_raw', '/front/camera_info'), ('/image_raw/compressed', '/camera_info'),
    ('/front/camera/image', '/front/camera/camera_info')])
def test_its_name_is_that_of_image_transport(image_topic: str, expected: str) -> None:
    assert topic_beside(image_topic) == expected


@pytest.mark.parametrize('rules, expected', [
    ([], '/front/camera_info'), (['-r', 'camera_info:=/calibration'], '/calibration')])
def test_its_topic_can_be_remapped(ros_domain: int, rules: list[str], expected: str) -> None:
    context = Context()
    rclpy.init(context=context)
    node = rclpy.create_node('node', context=context, cli_args=['--ros-args', *rules])
    publisher = node.create_publisher(CameraInfo, '~/camera_info', 1)
    node.create_subscription(CameraInfo, '~/camera_info', lambda message: None, 1)
    wait_until(lambda: publisher.get_subscription_count() == 1)
    relay = CameraInfoRelay(node, publisher, '/front/image_raw')
    relay.mask_published(SerializedHeader(1, 0, b'camera'), (64, 48), (64, 48))
    assert expected in [one.topic_name for one in node.subscriptions]
    node.destroy_node()
    context.shutdown()


def subscribe(rig: Rig) -> Any:
    """Let the peer listen, and the node find the camera's calibration; return its publisher."""
    camera = rig.peer.advertise(CameraInfo, '/camera_info')
    rig.peer.subscribe(CameraInfo, TOPIC)
    rig.connect(TOPIC)
    rig.send(image_message(picture(), stamp_ns=SECOND))    # now the node subscribes
    wait_until(lambda: camera.get_subscription_count() == 1 and any(
        one.topic_name == '/camera_info' and one.get_publisher_count()
        for one in rig.node.subscriptions))
    return camera


def test_image_and_all_that_is_made_of_it_have_one_stamp(make_rig: Rigs) -> None:
    """What an exact-time synchroniser of message_filters asks for: equal stamps on all topics."""
    rig = make_rig()
    others = ['/lvs/mask/color', '/lvs/confidence']
    for topic in others:
        rig.peer.subscribe(Image, topic)
    camera = subscribe(rig)
    rig.connect(TOPIC, *others)
    sent = []
    for number in range(5):
        image = image_message(picture(), stamp_ns=(2 + number) * SECOND + 7)
        info = calibration((2 + number) * SECOND + 7)
        # The calibration comes before its image, or when its mask is out.
        for message in (info, image) if number % 2 else (image, info):
            camera.publish(message) if message is info else rig.send(message)
        rig.peer.wait_for(TOPIC, number + 1)
        sent.append(info)
    received = rig.peer.received
    assert received[TOPIC] == sent, 'those of the camera, unchanged'
    stamps = [info.header.stamp for info in sent]
    for topic in ('/lvs/mask', '/lvs/status', *others):
        rig.peer.wait_for(topic, len(sent) + 1)
        assert [one.header.stamp for one in received[topic][-len(sent):]] == stamps, topic


def test_the_calibration_of_a_smaller_mask(make_rig: Rigs) -> None:
    rig = make_rig(output_size=[WIDTH // 2, HEIGHT // 3])
    camera = subscribe(rig)
    info = calibration(2 * SECOND)
    camera.publish(info)
    mask, _ = rig.send(image_message(picture(), stamp_ns=2 * SECOND))
    found = rig.peer.wait_for(TOPIC, 1)[0]
    assert found.header == mask.header
    assert (found.width, found.height) == (mask.width, mask.height) == (WIDTH // 2, HEIGHT // 3)
    point = np.array([0.2, 0.1, 1.0])
    np.testing.assert_allclose(projected(found.k, point), projected(info.k, point) / [2, 3])


def test_masks_wait_for_no_calibration_and_the_diagnostics_miss_it(make_rig: Rigs) -> None:
    rig = make_rig()
    camera = subscribe(rig)
    camera.publish(calibration(2 * SECOND, width=2 * WIDTH))
    rig.send(image_message(picture(), stamp_ns=2 * SECOND))
    rig.peer.wait_for(TOPIC, 1)
    rig.peer.diagnostics(lambda one: (
        '/camera_info does not fit the images: it is of images of 128x48' in one.message))
    camera.publish(b'\0\1\0\0\1')    # no message
    for number in range(12):    # each gets its mask; the calibrations are of other times
        camera.publish(calibration(500 * SECOND + number))
        rig.send(image_message(picture(), stamp_ns=(3 + number) * SECOND))
    status = rig.peer.diagnostics(lambda one: (
        '2 of 3 masks got no ~/camera_info: /camera_info has no message with the stamps of these '
        'images') in one.message)
    assert status.level == DiagnosticStatus.WARN
    assert values(status)['camera info'].startswith('/camera_info: 1 of the last 3 masks')
    # One of the last ten masks: late, and there.
    camera.publish(calibration(10 * SECOND))
    assert rig.peer.wait_for(TOPIC, 2)[1].header.stamp.sec == 10
    rig.peer.diagnostics(lambda one: values(one)['camera info'].endswith('1 late'))


def test_nothing_is_subscribed_to_where_nobody_listens(make_rig: Rigs) -> None:
    rig = make_rig()
    rig.send(image_message(picture()))
    assert not any('camera_info' in one.topic_name for one in rig.node.subscriptions)
    status = rig.peer.diagnostics(lambda _: True)
    assert values(status)['camera info'] == 'not subscribed to'
