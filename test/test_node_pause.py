# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""With pause_without_subscribers, nothing is computed that nobody would get."""

import pathlib
import time
from typing import Any, Iterator

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from diagnostic_msgs.msg import DiagnosticStatus  # noqa: E402
import node_rig  # noqa: E402
from node_rig import Rigs, image_message, picture, values, wait_until  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402

from lvs_ros.msg import FrameStatus  # noqa: E402
from lvs_ros.options import PipelineOptions  # noqa: E402
from lvs_ros.pipeline.build import build_pipeline  # noqa: E402
from lvs_ros.pipeline.frame import Frame, StepResult  # noqa: E402


@pytest.fixture
def make_rig(ros_domain: int, tiny_model: pathlib.Path) -> Iterator[Rigs]:
    yield from node_rig.rigs(tiny_model)


@pytest.mark.parametrize('paused', [True, False])
def test_the_networks_stand_still_while_nobody_listens(make_rig: Rigs, paused: bool) -> None:
    start_ns, stamps_ns = time.time_ns(), []

    def factory(options: PipelineOptions) -> Any:
        pipeline = build_pipeline(options)
        step = pipeline.step

        def watched(frame: Frame, **more: Any) -> StepResult:
            stamps_ns.append(frame.stamp_ns)
            return step(frame, **more)

        pipeline.step = watched  # type: ignore[method-assign]
        return pipeline

    rig = make_rig(pipeline_factory=factory, threshold=1.0, pause_without_subscribers=paused)
    for number in (1, 2):
        _, status = rig.send(image_message(picture(), stamp_ns=start_ns + number))
        assert status.key_frame == (number == 1)
    rig.peer.unsubscribe('/lvs/mask', '/lvs/status')
    wait_until(lambda: not any(one.get_subscription_count() for one in rig.node.publishers
                               if one.topic_name in ('/lvs/mask', '/lvs/status')))
    for number in (3, 4):
        rig.peer.publish(image_message(picture(), stamp_ns=start_ns + number))
        diagnosis = rig.peer.diagnostics(
            lambda one: values(one)['frames received'] == str(number))
    assert diagnosis.level == DiagnosticStatus.OK
    assert ('paused: nobody subscribes' in diagnosis.message) == paused
    assert values(diagnosis)['images left out (paused)'] == ('2' if paused else '0')
    assert values(diagnosis)['frames dropped'] == '0'

    for kind, topic in ((Image, '/lvs/mask'), (FrameStatus, '/lvs/status')):
        rig.peer.subscribe(kind, topic)
    rig.connect()
    _, status = rig.send(image_message(picture(), stamp_ns=start_ns + 5))
    assert status.key_frame == paused
    assert status.reset_reason == ('nobody subscribed to an output' if paused else '')
    _, status = rig.send(image_message(picture(), stamp_ns=start_ns + 6))
    assert (status.key_frame, status.reset_reason) == (False, '')
    seen = [one - start_ns for one in stamps_ns if one >= start_ns]    # the others warm up
    assert seen == [1, 2, *([] if paused else [3, 4]), 5, 6]
