# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Pictures that are damaged, too large or no pictures, through a real node: dropped and told."""

import array
import pathlib
from typing import Any, Iterator

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

import cv2  # noqa: E402
from diagnostic_msgs.msg import DiagnosticStatus  # noqa: E402
import node_rig  # noqa: E402
from node_rig import (HEIGHT, SECOND, WIDTH, Rigs, image_message, picture,  # noqa: E402
                      pixels, values)
import numpy as np  # noqa: E402
from rclpy.executors import Executor  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402

from lvs_ros.options import PipelineOptions  # noqa: E402
from lvs_ros.pipeline.build import build_pipeline  # noqa: E402
from lvs_ros.pipeline.frame import Frame, StepResult  # noqa: E402


@pytest.fixture
def make_rig(ros_domain: int, tiny_model: pathlib.Path) -> Iterator[Rigs]:
    yield from node_rig.rigs(tiny_model)


def compressed(data: bytes, format: str = 'jpeg', *, stamp_ns: int = 2 * SECOND
               ) -> CompressedImage:
    message = CompressedImage(format=format, data=array.array('B', data))
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, SECOND)
    return message


def encoded(extension: str, *parameters: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> bytes:
    width, height = size
    return cv2.imencode(extension, picture(3, height, width), parameters)[1].tobytes()


JPEG = encoded('.jpg')
PNG = encoded('.png')
IDAT = PNG.index(b'IDAT')
END = b'\xff\xd9'

REFUSED = {
    'half a JPEG': (JPEG[:len(JPEG) // 2] + END, 'jpeg', 'premature end of data segment'),
    'a JPEG without its middle': (JPEG[:len(JPEG) // 2] + JPEG[len(JPEG) * 3 // 4:], 'jpeg',
                                  'truncated or damaged'),
    'a JPEG cut behind the end of its thumbnail': (
        JPEG[:2] + b'\xff\xe1\0\x0eExif\0\0\xff\xd8\xff\xd9\0\0' + JPEG[2:-300], 'jpeg',
        'truncated or damaged'),
    'a flipped bit in the length of a chunk': (
        PNG[:IDAT - 4] + bytes([PNG[IDAT - 4] ^ 0x40]) + PNG[IDAT - 3:], 'png', 'a chunk of'),
    'a PNG of 4000x4000': (encoded('.png', size=(4000, 4000)), 'png', 'more than max_pixels'),
    'depth': (PNG, '16UC1; png compressed ', 'depth'),
    'compressed depth': (PNG, '32FC1; compressedDepth png', 'depth'),
    'a WebP cut short': (encoded('.webp')[:-30], 'webp', 'of which'),
    'no picture': (b'\0\0\0\1\x67\x42', 'jpeg', 'a video stream'),
    'H.264': (b'\0\0\0\1\x67\x42', 'h264', 'republish --ros-args -p in_transport:=ffmpeg'),
    'H.265': (b'\0\0\0\1\x40\1', 'h265', "format 'h265': that is coded video (hevc)"),
}


def test_messages_of_another_type_on_the_topic_are_told(make_rig: Rigs) -> None:
    rig = make_rig(transport='compressed')
    rig.peer.close_camera()
    other = node_rig.Peer()
    try:
        other.open_camera(Image, 'image_raw/compressed')

        diagnosis = rig.peer.diagnostics(lambda status: 'it has sensor_msgs' in status.message)
    finally:
        other.close()

    assert diagnosis.level == DiagnosticStatus.STALE
    assert 'sensor_msgs/msg/Image, which is not what' in diagnosis.message


def test_damaged_large_and_depth_pictures_are_dropped_and_told(make_rig: Rigs) -> None:
    rig = make_rig(transport='compressed', schedule='every_frame')
    sentinel, _ = rig.send(compressed(JPEG, stamp_ns=SECOND))
    for number, (case, (data, format, reason)) in enumerate(REFUSED.items(), start=1):
        rig.peer.publish(compressed(data, format))
        diagnosis = rig.peer.diagnostics(
            lambda status: values(status)['malformed images'] == str(number))
        assert diagnosis.level == DiagnosticStatus.WARN
        assert reason in diagnosis.message, case
    again, status = rig.send(compressed(JPEG, stamp_ns=3 * SECOND))
    np.testing.assert_array_equal(pixels(again), pixels(sentinel))
    assert status.frames_dropped == len(REFUSED)
    assert len(rig.peer.received['/lvs/mask']) == 2


def test_the_limit_of_pixels_is_a_parameter_and_holds_for_raw_images(make_rig: Rigs) -> None:
    rig = make_rig(max_pixels=WIDTH * HEIGHT)
    rig.peer.publish(image_message(picture(height=HEIGHT + 8)))
    diagnosis = rig.peer.diagnostics(lambda status: values(status)['malformed images'] == '1')
    assert f'image of 64x56 pixels: more than max_pixels, {WIDTH * HEIGHT}' in diagnosis.message
    assert rig.send(image_message(picture()))[1].frames_dropped == 1


def test_a_text_of_megabytes_does_not_reach_log_or_diagnostics(
        make_rig: Rigs, capfd: pytest.CaptureFixture[str]) -> None:
    rig = make_rig()
    for number, encoding in enumerate(('x' * 2_000_000, '32FC1', 'rgb8\n[FATAL] all is lost'), 1):
        rig.peer.publish(image_message(picture(), encoding=encoding))
        diagnosis = rig.peer.diagnostics(
            lambda status: values(status)['malformed images'] == str(number))
        assert len(diagnosis.message) < 2000 and diagnosis.message.isprintable()
    assert 'unknown encoding' in diagnosis.message
    output = capfd.readouterr().err
    assert len(output) < 20_000 and '\n[FATAL]' not in output


def test_malformed_and_failed_frames_have_a_reason_each(make_rig: Rigs) -> None:
    def factory(options: PipelineOptions) -> Any:
        pipeline = build_pipeline(options)
        step = pipeline.step

        def flaky(frame: Frame, **named: Any) -> StepResult:
            if frame.stamp_ns == 4 * SECOND:
                raise MemoryError('no room for the mask')
            return step(frame, **named)

        pipeline.step = flaky  # type: ignore[method-assign]
        return pipeline

    rig = make_rig(pipeline_factory=factory)
    for number, stamp_ns in enumerate((4 * SECOND, 5 * SECOND, 4 * SECOND, 5 * SECOND), 1):
        message = image_message(picture(), stamp_ns=stamp_ns,
                                encoding='rgb8' if stamp_ns == 4 * SECOND else 'rgb7')
        rig.peer.publish(message)
        diagnosis = rig.peer.diagnostics(
            lambda status: values(status)['frames dropped'] == str(number))
    reasons = dict(part.split(': ', 1) for part in diagnosis.message.split('; ')[:2])
    assert diagnosis.level == DiagnosticStatus.ERROR
    assert reasons['2 frames dropped on an unexpected error'] == (
        'out of memory: no room for the mask')
    assert reasons['2 malformed images dropped'].startswith("image of unknown encoding 'rgb7'")


def test_a_message_for_which_there_is_no_memory_is_a_lost_frame(
        make_rig: Rigs, monkeypatch: pytest.MonkeyPatch) -> None:
    """rclpy takes a message outside of every callback: what is raised there ended the process."""
    rig = make_rig()
    take = Executor._take_subscription
    rig.send(image_message(picture(), stamp_ns=SECOND))

    def short_of_memory(self: Any, subscription: Any) -> Any:
        taken = take(self, subscription)
        if 'image_raw' not in subscription.topic_name:
            return taken
        raise MemoryError('std::bad_alloc')

    with monkeypatch.context() as context:
        context.setattr(Executor, '_take_subscription', short_of_memory)
        for number in ('1', '2'):
            rig.peer.publish(image_message(picture(), stamp_ns=2 * SECOND))
            diagnosis = rig.peer.diagnostics(
                lambda status: values(status)['frames failed'] == number)
            assert diagnosis.level == DiagnosticStatus.ERROR
            assert 'out of memory: std::bad_alloc' in diagnosis.message
    status = rig.send(image_message(picture(), stamp_ns=3 * SECOND))[1]
    assert (status.frames_received, status.frames_dropped) == (4, 2)
    assert values(rig.peer.diagnostics(lambda _: True))['frames lost before the node'] == '0'
