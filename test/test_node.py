# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The node over DDS: a mask for every image, whatever its encoding, size and time."""

import gc
import pathlib
import threading
from typing import Any, Iterator

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from diagnostic_msgs.msg import DiagnosticStatus  # noqa: E402
from lifecycle_msgs.msg import State, Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState, GetState  # noqa: E402
import node_rig  # noqa: E402
from node_rig import HEIGHT, SECOND, WIDTH, Rig, Rigs, image_message, picture, pixels  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402

from lvs_ros.labels import LabelSet, load_label_set  # noqa: E402
from lvs_ros.model import load_network, save_network  # noqa: E402
from lvs_ros.options import PipelineOptions  # noqa: E402
from lvs_ros.pipeline.build import build_pipeline  # noqa: E402
from lvs_ros.pipeline.execution import SimulatedExecutor  # noqa: E402
from lvs_ros.pipeline.frame import Frame, StepResult  # noqa: E402
from lvs_ros.recordings.message_types import IMAGE, typestore  # noqa: E402


@pytest.fixture
def make_rig(ros_domain: int, tiny_model: pathlib.Path) -> Iterator[Rigs]:
    yield from node_rig.rigs(tiny_model)


@pytest.fixture(scope='module')
def rig(tiny_model: pathlib.Path) -> Iterator[Rig]:
    """Return a node whose frames become key frames only where it starts again."""
    yield from node_rig.lone_rig(tiny_model, threshold=1.0)


@pytest.fixture(scope='module')
def expected(tiny_model: pathlib.Path) -> Any:
    """Return what the pipeline makes of an RGB image that is the first of its stream."""
    results: dict[tuple[tuple[int, ...], bytes], StepResult] = {}

    def first_result(image: np.ndarray) -> StepResult:
        key = image.shape, image.tobytes()
        if key not in results:
            options = PipelineOptions(model=str(tiny_model))
            with build_pipeline(options, SimulatedExecutor(0.0)) as pipeline:
                results[key] = pipeline.step(Frame(image, stamp_ns=0), want_confidence=True)
        return results[key]
    return first_result


def reset(rig: Rig) -> None:
    response = rig.peer.call(Trigger, '/lvs/reset', Trigger.Request())
    assert response.success, response.message


def test_every_encoding_with_padded_rows(rig: Rig, expected: Any) -> None:
    rgb = picture()
    grey = rgb[..., 0]
    mask_of_rgb = expected(rgb).mask
    mask_of_grey = expected(np.dstack([grey] * 3)).mask
    assert len(np.unique(mask_of_rgb)) > 1, 'a mask of one class shows nothing'
    alpha = np.full_like(grey, 77)
    cases = {
        'rgb8': (rgb, mask_of_rgb),
        'bgr8': (rgb[..., ::-1], mask_of_rgb),
        'rgba8': (np.dstack([rgb, alpha]), mask_of_rgb),
        'bgra8': (np.dstack([rgb[..., ::-1], alpha]), mask_of_rgb),
        '8UC3': (rgb[..., ::-1], mask_of_rgb),
        'mono8': (grey, mask_of_grey),
        '8UC1': (grey, mask_of_grey),
        'mono16': (grey.astype('<u2') * 256 + 99, mask_of_grey),
        'rgb16': (rgb.astype('<u2') * 256 + 99, mask_of_rgb),
    }
    stamp_ns = SECOND
    for encoding, (image, mask) in cases.items():
        for padding in (0, 13):
            reset(rig)  # each image is the first of its stream, and so is the expected one
            stamp_ns += SECOND
            message, _ = rig.send(image_message(image, encoding=encoding, padding=padding,
                                                stamp_ns=stamp_ns))
            np.testing.assert_array_equal(pixels(message), mask, err_msg=f'{encoding} {padding}')


@pytest.mark.parametrize('encoding, channels', [
    ('uyvy', 2), ('yuv422_yuy2', 2), ('bayer_rggb8', 1), ('nv12', None)])
def test_camera_encodings_are_converted(rig: Rig, encoding: str, channels: Any) -> None:
    if channels:
        message = image_message(np.full((HEIGHT, WIDTH, channels), 90, np.uint8),
                                encoding=encoding)
    else:
        message = image_message(np.full((HEIGHT * 3 // 2, WIDTH), 90, np.uint8),
                                encoding=encoding)
        message.height = HEIGHT
    mask, _ = rig.send(message)
    assert (mask.height, mask.width) == (HEIGHT, WIDTH)


def test_the_mask_carries_the_header_of_its_image(rig: Rig) -> None:
    message = image_message(picture(), stamp_ns=12 * SECOND + 345)
    mask, status = rig.send(message)
    assert mask.header == message.header
    assert status.header == message.header
    assert (mask.encoding, mask.step, mask.height, mask.width) == ('mono8', WIDTH, HEIGHT, WIDTH)
    assert mask.is_bigendian == 0
    assert len(mask.data) == HEIGHT * WIDTH


def test_messages_of_the_other_byte_order(rig: Rig, expected: Any) -> None:
    reset(rig)
    message = image_message(picture(), stamp_ns=12 * SECOND + 345)
    types = typestore().types
    header = types['std_msgs/msg/Header'](
        stamp=types['builtin_interfaces/msg/Time'](sec=12, nanosec=345), frame_id='camera_front')
    mask, _ = rig.send(bytes(typestore().serialize_cdr(
        types[IMAGE](header=header, height=HEIGHT, width=WIDTH, encoding='rgb8', is_bigendian=0,
                     step=message.step, data=np.frombuffer(message.data, np.uint8)),
        IMAGE, little_endian=False)))
    assert mask.header == message.header
    np.testing.assert_array_equal(pixels(mask), expected(picture()).mask)


def test_status_tells_key_frames_and_propagated_ones(make_rig: Rigs) -> None:
    rig = make_rig(threshold=1.0, stale_after_s=0.0)
    first = rig.send(image_message(picture(), stamp_ns=SECOND))[1]
    second = rig.send(image_message(picture(), stamp_ns=SECOND + 66_000_000))[1]
    assert (first.key_frame, first.key_age_frames, first.key_stamp.sec) == (True, 0, 1)
    assert np.isnan(first.deviation)
    assert (second.key_frame, second.key_age_frames, second.key_stamp) == (
        False, 1, first.header.stamp)
    assert 0.0 <= second.deviation <= 1.0
    assert (second.schedule, second.threshold) == ('low_latency', 1.0)
    assert second.low_ms > 0 and second.propagation_ms > 0 and second.publish_ms > 0
    assert second.rest_ms > 0
    assert (second.frames_received, second.frames_dropped) == (2, 0)


def test_compressed_images(make_rig: Rigs, expected: Any) -> None:
    rig = make_rig(transport='compressed')
    rgb = picture()
    message = CompressedImage(format='rgb8; png compressed bgr8')
    message.header.stamp.sec = 5
    message.data.frombytes(cv2.imencode('.png', rgb[..., ::-1])[1].tobytes())
    mask, _ = rig.send(message)
    assert mask.header == message.header
    np.testing.assert_array_equal(pixels(mask), expected(rgb).mask)


def test_another_image_size_starts_again(rig: Rig, expected: Any) -> None:
    rig.send(image_message(picture(), stamp_ns=SECOND))
    large = picture(height=2 * HEIGHT, width=2 * WIDTH)
    mask, status = rig.send(image_message(large, stamp_ns=2 * SECOND))
    assert status.key_frame
    np.testing.assert_array_equal(pixels(mask), expected(large).mask)


def test_time_that_goes_back_starts_again(rig: Rig) -> None:
    rig.send(image_message(picture(), stamp_ns=50 * SECOND))
    assert not rig.send(image_message(picture(), stamp_ns=51 * SECOND))[1].key_frame
    assert rig.send(image_message(picture(), stamp_ns=20 * SECOND))[1].key_frame
    assert not rig.send(image_message(picture(), stamp_ns=21 * SECOND))[1].key_frame


def test_reset_makes_the_next_frame_a_key_frame(rig: Rig) -> None:
    rig.send(image_message(picture(), stamp_ns=SECOND))
    assert not rig.send(image_message(picture(), stamp_ns=2 * SECOND))[1].key_frame
    reset(rig)
    assert rig.send(image_message(picture(), stamp_ns=3 * SECOND))[1].key_frame


def test_confidence_is_computed_only_when_subscribed_to(make_rig: Rigs, expected: Any) -> None:
    asked = []

    def factory(options: PipelineOptions) -> Any:
        pipeline = build_pipeline(options)
        step = pipeline.step

        def watched(frame: Frame, *, want_confidence: bool = False) -> StepResult:
            asked.append(want_confidence)
            return step(frame, want_confidence=want_confidence)

        pipeline.step = watched  # type: ignore[method-assign]
        return pipeline

    rig = make_rig(pipeline_factory=factory)
    rig.send(image_message(picture(), stamp_ns=SECOND))
    assert asked[-1] is False
    rig.peer.subscribe(Image, '/lvs/confidence')
    rig.connect('/lvs/confidence')
    reset(rig)
    message = image_message(picture(), stamp_ns=2 * SECOND)
    rig.send(message)
    assert asked[-1] is True
    confidence = rig.peer.wait_for('/lvs/confidence', 1)[0]
    assert confidence.header == message.header
    np.testing.assert_array_equal(pixels(confidence), expected(picture()).confidence)


def test_overlay_is_computed_only_when_subscribed_to(
        make_rig: Rigs, expected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    overlay = LabelSet.overlay

    def watched(*arguments: Any, **named: Any) -> np.ndarray:
        drawn.append(True)
        return overlay(*arguments, **named)

    monkeypatch.setattr(LabelSet, 'overlay', watched)
    rig = make_rig()
    rig.send(image_message(picture(), stamp_ns=SECOND))
    assert not drawn
    rig.peer.subscribe(Image, '/lvs/overlay')
    rig.connect('/lvs/overlay')
    reset(rig)
    rig.send(image_message(picture()[..., ::-1], encoding='bgr8', stamp_ns=2 * SECOND))
    message = rig.peer.wait_for('/lvs/overlay', 1)[0]
    assert message.encoding == 'rgb8'
    np.testing.assert_array_equal(
        pixels(message), overlay(load_label_set('camvid'), picture(), expected(picture()).mask))


def test_a_model_with_classes_of_its_own(make_rig: Rigs, tiny_model: pathlib.Path,
                                         tmp_path: pathlib.Path) -> None:
    network = load_network(tiny_model)
    own = LabelSet('own', tuple(f'class {index}' for index in range(11)),
                   tuple((20 * index, 255 - index, 7) for index in range(11)))
    network.config = network.config.with_labels(own)
    path = tmp_path / 'own.safetensors'
    save_network(network, path)
    rig = make_rig(path)
    rig.peer.subscribe(Image, '/lvs/overlay')
    rig.connect('/lvs/overlay')
    rig.send(image_message(picture(), stamp_ns=SECOND))
    mask = pixels(rig.peer.wait_for('/lvs/mask', 1)[0])
    np.testing.assert_array_equal(pixels(rig.peer.wait_for('/lvs/overlay', 1)[0]),
                                  own.overlay(picture(), mask))
    # a set with the classes of CamVid, which are as many, is not that of this model
    other = make_rig(path, autostart=False, labels='camvid')
    assert not change_state(other, Transition.TRANSITION_CONFIGURE)


def test_a_transition_that_there_is_not_is_refused(make_rig: Rigs) -> None:
    rig = make_rig()
    assert not change_state(rig, Transition.TRANSITION_CONFIGURE)    # it is active
    rig.send(image_message(picture(), stamp_ns=SECOND))
    rig.peer.wait_for('/lvs/mask', 1)
    assert change_state(rig, Transition.TRANSITION_DEACTIVATE)


class Gate:
    """Makes a pipeline whose steps wait until they are let through."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self.stamps_ns: list[int] = []

    def __call__(self, options: PipelineOptions) -> Any:
        pipeline = build_pipeline(options)
        step = pipeline.step

        def gated(frame: Frame, **named: Any) -> StepResult:
            self.stamps_ns.append(frame.stamp_ns)
            self.entered.release()
            assert self.open.wait(60)
            return step(frame, **named)

        def warm_up(width: int, height: int) -> None:
            pass  # it steps, too

        pipeline.step = gated  # type: ignore[method-assign]
        pipeline.warm_up = warm_up  # type: ignore[method-assign]
        return pipeline


@pytest.mark.parametrize('size, expected_sizes', [([64, 48], [(64, 48)]), ([0, 0], [])])
def test_the_network_is_warmed_up_for_the_size_of_the_camera(
        make_rig: Rigs, size: list[int], expected_sizes: list[tuple[int, int]]) -> None:
    warmed_up = []

    def factory(options: PipelineOptions) -> Any:
        pipeline = build_pipeline(options)
        pipeline.warm_up = lambda *size: warmed_up.append(size)  # type: ignore[method-assign]
        return pipeline

    make_rig(pipeline_factory=factory, warm_up_size=size)
    assert warmed_up == expected_sizes


def test_the_newest_frame_wins_and_every_lost_one_is_counted(make_rig: Rigs) -> None:
    gate = Gate()
    rig = make_rig(pipeline_factory=gate)
    rig.peer.publish(image_message(picture(), stamp_ns=1 * SECOND))
    assert gate.entered.acquire(timeout=60)
    for number in range(2, 8):  # while the first is being processed
        rig.peer.publish(image_message(picture(), stamp_ns=number * SECOND))
    gate.open.set()
    status = rig.peer.wait_for('/lvs/status', 2)[1]
    assert gate.stamps_ns == [1 * SECOND, 7 * SECOND]
    assert (status.frames_received, status.frames_dropped) == (2, 5)
    assert len(rig.peer.wait_for('/lvs/mask', 2)) + status.frames_dropped == rig.peer.sent


def test_masks_and_drops_add_up_over_a_restart_of_the_camera(make_rig: Rigs) -> None:
    gate = Gate()
    gate.open.set()
    rig = make_rig(pipeline_factory=gate)
    for number in range(1, 4):
        rig.send(image_message(picture(), stamp_ns=number * SECOND))
    rig.restart_camera()
    for number in range(4, 6):
        rig.send(image_message(picture(), stamp_ns=number * SECOND))
    while gate.entered.acquire(blocking=False):
        pass
    gate.open.clear()
    rig.peer.publish(image_message(picture(), stamp_ns=6 * SECOND))
    assert gate.entered.acquire(timeout=60)
    for number in range(7, 10):
        rig.peer.publish(image_message(picture(), stamp_ns=number * SECOND))
    gate.open.set()
    status = rig.peer.wait_for('/lvs/status', 7)[-1]
    assert status.frames_dropped == 2
    assert len(rig.peer.wait_for('/lvs/mask', 7)) + status.frames_dropped == rig.peer.sent


def change_state(rig: Rig, transition: int) -> bool:
    request = ChangeState.Request(transition=Transition(id=transition))
    return rig.peer.call(ChangeState, '/lvs/change_state', request).success


def state(rig: Rig) -> int:
    return rig.peer.call(GetState, '/lvs/get_state', GetState.Request()).current_state.id


def test_reset_answers_in_every_state(make_rig: Rigs) -> None:
    rig = make_rig(autostart=False)
    for transition, label in ((None, 'unconfigured'),
                              (Transition.TRANSITION_CONFIGURE, 'inactive'),
                              (Transition.TRANSITION_ACTIVATE, 'active'),
                              (Transition.TRANSITION_DEACTIVATE, 'inactive'),
                              (Transition.TRANSITION_CLEANUP, 'unconfigured'),
                              (Transition.TRANSITION_UNCONFIGURED_SHUTDOWN, 'finalized')):
        assert transition is None or change_state(rig, transition)
        response = rig.peer.call(Trigger, '/lvs/reset', Trigger.Request())
        assert response.success == (label == 'active')
        assert response.success or f'the node is {label}:' in response.message


def test_reset_tells_why_the_node_is_not_configured(make_rig: Rigs) -> None:
    rig = make_rig(pathlib.Path('missing'), autostart=False)
    assert not change_state(rig, Transition.TRANSITION_CONFIGURE)
    response = rig.peer.call(Trigger, '/lvs/reset', Trigger.Request())
    assert "the node is unconfigured (cannot configure: no model 'missing'" in response.message


def test_a_manager_leads_it_through_its_states(make_rig: Rigs) -> None:
    rig = make_rig(autostart=False, threshold=1.0)
    assert state(rig) == State.PRIMARY_STATE_UNCONFIGURED
    for stamp_s in (10, 30):  # the second time after a complete cleaning up
        assert change_state(rig, Transition.TRANSITION_CONFIGURE)
        assert state(rig) == State.PRIMARY_STATE_INACTIVE
        assert not rig.peer.call(Trigger, '/lvs/reset', Trigger.Request()).success
        assert change_state(rig, Transition.TRANSITION_ACTIVATE)
        rig.connect()
        assert rig.send(image_message(picture(), stamp_ns=stamp_s * SECOND))[1].key_frame
        assert change_state(rig, Transition.TRANSITION_DEACTIVATE)
        assert not any('image_raw' in subscription.topic_name
                       for subscription in rig.node.subscriptions)
        assert change_state(rig, Transition.TRANSITION_ACTIVATE)
        rig.connect()
        status = rig.send(image_message(picture(), stamp_ns=(stamp_s + 1) * SECOND))[1]
        assert status.key_frame, 'deactivating forgets the key frame'
        assert (status.frames_received, status.frames_dropped) == (1, 0)
        assert change_state(rig, Transition.TRANSITION_DEACTIVATE)
        assert change_state(rig, Transition.TRANSITION_CLEANUP)
        assert state(rig) == State.PRIMARY_STATE_UNCONFIGURED
    assert change_state(rig, Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    assert state(rig) == State.PRIMARY_STATE_FINALIZED


def test_the_garbage_collector_leaves_what_stays_alone(make_rig: Rigs) -> None:
    rig = make_rig()
    assert gc.get_freeze_count() > 10_000    # the modules alone are more
    rig.send(image_message(picture()))
    assert change_state(rig, Transition.TRANSITION_DEACTIVATE)
    assert change_state(rig, Transition.TRANSITION_CLEANUP)
    assert gc.get_freeze_count() == 0


def test_a_model_that_is_not_there_leaves_it_unconfigured(
        make_rig: Rigs, tmp_path: pathlib.Path) -> None:
    rig = make_rig(tmp_path / 'missing.safetensors', autostart=False)
    assert not change_state(rig, Transition.TRANSITION_CONFIGURE)
    assert state(rig) == State.PRIMARY_STATE_UNCONFIGURED
    diagnosis = rig.peer.diagnostics(lambda status: status.level != DiagnosticStatus.OK)
    assert diagnosis.level == DiagnosticStatus.ERROR
    assert 'missing.safetensors' in diagnosis.message


def test_labels_of_another_number_of_classes_are_refused(make_rig: Rigs) -> None:
    rig = make_rig(autostart=False, labels='cityscapes')
    assert not change_state(rig, Transition.TRANSITION_CONFIGURE)
    assert state(rig) == State.PRIMARY_STATE_UNCONFIGURED
