# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The node looks ahead: stamps and labels over DDS, and nothing where nobody listens."""

import pathlib
from typing import Any, Iterator

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

import node_rig  # noqa: E402
from node_rig import HEIGHT, WIDTH, Rigs, image_message, picture, pixels, values  # noqa: E402
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue  # noqa: E402
from rcl_interfaces.srv import SetParameters  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402

from lvs_ros.labels import load_label_set  # noqa: E402
from lvs_ros.options import PipelineOptions  # noqa: E402
from lvs_ros.pipeline.build import build_pipeline  # noqa: E402
from lvs_ros.pipeline.execution import SimulatedExecutor  # noqa: E402
from lvs_ros.pipeline.forecast import Forecast  # noqa: E402
from lvs_ros.pipeline.frame import Frame, StepResult  # noqa: E402

PERIOD_NS = 70_000_000
FIRST_NS = 999_950_000_000    # a forecast of the first frame is for the next second
FORECASTS = ('/lvs/mask_forecast', '/lvs/confidence_forecast', '/lvs/overlay_forecast')


@pytest.fixture
def make_rig(ros_domain: int, tiny_model: pathlib.Path) -> Iterator[Rigs]:
    yield from node_rig.rigs(tiny_model)


def stamp_ns(message: Any) -> int:
    return message.header.stamp.sec * node_rig.SECOND + message.header.stamp.nanosec


def drive(count: int) -> list[Frame]:
    """Return frames that move by 2 pixels from one to the next."""
    world = picture(width=WIDTH + 2 * count)
    return [Frame(np.ascontiguousarray(world[:, 2 * number:2 * number + WIDTH]),
                  FIRST_NS + number * PERIOD_NS) for number in range(count)]


def test_stamps_and_labels_of_forecasts(make_rig: Rigs, tiny_model: pathlib.Path) -> None:
    rig = make_rig(threshold=1.0)
    for topic in FORECASTS:
        rig.peer.subscribe(Image, topic)
    rig.connect(*FORECASTS)
    options = PipelineOptions(model=str(tiny_model), threshold=1.0)
    with build_pipeline(options, SimulatedExecutor(0.0)) as pipeline:
        for number, frame in enumerate(drive(3)):
            message = image_message(frame.image, stamp_ns=frame.stamp_ns)
            mask, status = rig.send(message)
            result = pipeline.step(frame, want_confidence=True)
            expected = pipeline.forecast(frame, result)
            np.testing.assert_array_equal(pixels(mask), result.mask)
            assert mask.header == status.header == message.header
            found = [rig.peer.wait_for(topic, number + 1)[number] for topic in FORECASTS]
            for one in found:
                # There is no flow to the first frame: its mask as it is, with its stamp.
                assert stamp_ns(one) == frame.stamp_ns + (PERIOD_NS if number else 0)
                assert one.header.frame_id == 'camera_front'
            np.testing.assert_array_equal(pixels(found[0]), expected.mask)
            np.testing.assert_array_equal(pixels(found[1]), expected.confidence)
            np.testing.assert_array_equal(pixels(found[2]), load_label_set('camvid').overlay(
                frame.image, expected.mask))
    assert rig.peer.diagnostics(lambda one: values(one)['forecast'] == '70.0 ms ahead')


def test_nothing_is_computed_where_nobody_listens(make_rig: Rigs, tiny_model: pathlib.Path
                                                  ) -> None:
    asked: list[int] = []

    def factory(options: PipelineOptions) -> Any:
        pipeline = build_pipeline(options)
        forecast, warm_up = pipeline.forecast, pipeline.warm_up

        def watched(frame: Frame, result: StepResult) -> Forecast:
            asked.append(frame.stamp_ns)
            return forecast(frame, result)

        def warmed_up(width: int, height: int) -> None:
            warm_up(width, height)
            asked.clear()

        pipeline.forecast, pipeline.warm_up = watched, warmed_up  # type: ignore[method-assign]
        return pipeline

    rig = make_rig(pipeline_factory=factory, threshold=1.0)
    frames = drive(4)
    options = PipelineOptions(model=str(tiny_model), threshold=1.0)
    with build_pipeline(options, SimulatedExecutor(0.0)) as pipeline:
        for frame in frames[:2]:
            mask, _ = rig.send(image_message(frame.image, stamp_ns=frame.stamp_ns))
            np.testing.assert_array_equal(pixels(mask), pipeline.step(frame).mask)
        assert not asked
        rig.peer.subscribe(Image, FORECASTS[0])
        rig.connect(FORECASTS[0])
        for frame in frames[2:]:    # with a listener, the masks are the same
            mask, _ = rig.send(image_message(frame.image, stamp_ns=frame.stamp_ns))
            np.testing.assert_array_equal(pixels(mask), pipeline.step(frame).mask)
    received = rig.peer.wait_for(FORECASTS[0], 2)
    assert asked == [frame.stamp_ns for frame in frames[2:]]
    # It was not computed, nor anything kept for it, before that.
    assert [stamp_ns(message) - frame.stamp_ns for message, frame in zip(received, frames[2:])] \
        == [0, PERIOD_NS]


def test_the_time_ahead_is_a_dynamic_parameter(make_rig: Rigs) -> None:
    rig = make_rig(threshold=1.0, forecast_s=0.25)
    rig.peer.subscribe(Image, FORECASTS[0])
    rig.connect(FORECASTS[0])

    def ahead_ns(frame: Frame) -> int:
        count = len(rig.peer.received[FORECASTS[0]])
        rig.send(image_message(frame.image, stamp_ns=frame.stamp_ns))
        return stamp_ns(rig.peer.wait_for(FORECASTS[0], count + 1)[count]) - frame.stamp_ns

    frames = drive(5)
    assert [ahead_ns(frame) for frame in frames[:2]] == [0, 250_000_000]
    for value, accepted in ((0.1, True), (0.6, False)):
        request = SetParameters.Request(parameters=[Parameter(
            name='forecast_s', value=ParameterValue(type=ParameterType.PARAMETER_DOUBLE,
                                                    double_value=value))])
        result = rig.peer.call(SetParameters, '/lvs/set_parameters', request).results[0]
        assert result.successful == accepted
    assert 'forecast_s out of range' in result.reason
    assert ahead_ns(frames[2]) == 100_000_000
    # A frame that comes a second later, and says so.
    late = Frame(np.zeros((HEIGHT, WIDTH, 3), np.uint8), frames[2].stamp_ns + node_rig.SECOND)
    assert ahead_ns(late) == 0
    assert rig.peer.diagnostics(lambda one: values(one)['forecast'] == (
        'none: the frames are 1.00 s apart, more than 0.5 s'))
