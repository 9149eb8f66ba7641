# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A mask that cannot be trusted is never published as if it could, and the reason is told."""

import dataclasses
import pathlib
import threading
from typing import Any, Callable, Iterator, Optional

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from diagnostic_msgs.msg import DiagnosticStatus  # noqa: E402
from lifecycle_msgs.msg import Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState  # noqa: E402
import node_rig  # noqa: E402
from node_rig import SECOND, Rig, Rigs, image_message, picture, pixels, values  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
import torch  # noqa: E402

from lvs_ros.model import VARIANTS, SegmentationNetwork, save_network  # noqa: E402
from lvs_ros.pipeline.execution import Job, JobResult, background  # noqa: E402

FRAME_NS = SECOND // 15


@pytest.fixture
def make_rig(ros_domain: int, tiny_model: pathlib.Path) -> Iterator[Rigs]:
    yield from node_rig.rigs(tiny_model)


class Fault:
    """What becomes of S_h in the background, while it is switched on: what ``act`` does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch,
                 act: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self.on = threading.Event()
        self.met = threading.Event()
        usual_compute = background.compute

        def compute(job: Job) -> JobResult:
            def high() -> torch.Tensor:
                result = job.compute()
                if self.on.is_set():
                    self.met.set()
                    result = act(result)
                return result

            return usual_compute(dataclasses.replace(job, compute=high))

        monkeypatch.setattr(background, 'compute', compute)


def raises(error: BaseException) -> Callable[[torch.Tensor], torch.Tensor]:
    def act(high: torch.Tensor) -> torch.Tensor:
        raise error
    return act


def stand_still(rig: Rig, stamp_ns: int, until: Callable[[Any], bool]) -> tuple[int, list[Any]]:
    """Send the same picture until a status matches; every one must get its mask."""
    statuses = []
    for _ in range(600):
        stamp_ns += FRAME_NS
        statuses.append(rig.send(image_message(picture(), stamp_ns=stamp_ns))[1])
        if until(statuses[-1]):
            return stamp_ns, statuses
        threading.Event().wait(0.005)    # leaves the slow track some time
    raise AssertionError(statuses[-1])


@pytest.mark.parametrize('act', [
    raises(RuntimeError('out of memory')), raises(SystemExit(3)),
    lambda high: high * float('nan')], ids=['error', 'SystemExit', 'NaN'])
def test_s_h_fails_once_before_a_still_scene(
        make_rig: Rigs, monkeypatch: pytest.MonkeyPatch,
        act: Callable[[torch.Tensor], torch.Tensor]) -> None:
    fault = Fault(monkeypatch, act)
    rig = make_rig(threshold=1.0, max_key_age_frames=2)
    fault.on.set()
    stamp_ns, statuses = stand_still(rig, SECOND, lambda status: status.slow_track_failures > 0)
    rig.in_node(lambda: rig.node.set_parameters([Parameter('max_key_age_frames', value=0)]))
    assert statuses[-1].key_provisional
    diagnosis = rig.peer.diagnostics(lambda status: 'S_h' in status.message)
    assert diagnosis.level == DiagnosticStatus.ERROR and 'tried again' in diagnosis.message
    fault.on.clear()
    stamp_ns, _ = stand_still(rig, stamp_ns, lambda status: not status.key_provisional)
    rig.peer.diagnostics(lambda status: 'S_h' not in status.message)
    assert len(rig.peer.received['/lvs/mask']) == rig.peer.sent


@pytest.mark.parametrize('schedule', ['low_latency', 'fixed', 'every_frame'])
def test_a_frame_that_is_not_finite_is_dropped_counted_and_told(
        make_rig: Rigs, monkeypatch: pytest.MonkeyPatch, schedule: str,
        capfd: pytest.CaptureFixture[str]) -> None:
    bad = threading.Event()
    usual = SegmentationNetwork.low_and_detail

    def low(self: SegmentationNetwork, image: torch.Tensor
            ) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
        features, detail = usual(self, image)
        return features * float('nan') if bad.is_set() else features, detail

    monkeypatch.setattr(SegmentationNetwork, 'low_and_detail', low)
    rig = make_rig(schedule=schedule, threshold=1.0)
    first = rig.send(image_message(picture(), stamp_ns=SECOND))[0]
    bad.set()
    rig.peer.publish(image_message(picture(), stamp_ns=SECOND + FRAME_NS))
    diagnosis = rig.peer.diagnostics(lambda status: values(status)['frames failed'] == '1')
    assert diagnosis.level == DiagnosticStatus.ERROR and 'not finite' in diagnosis.message
    bad.clear()
    mask, status = rig.send(image_message(picture(), stamp_ns=SECOND + 2 * FRAME_NS))
    assert status.key_frame and not status.key_provisional
    assert (status.frames_received, status.frames_dropped) == (3, 1)
    assert np.array_equal(pixels(mask), pixels(first))
    assert len(rig.peer.received['/lvs/mask']) == 2
    log = capfd.readouterr().err
    assert 'not finite' in log and 'Traceback' not in log


def test_a_model_that_is_not_finite_is_refused(
        make_rig: Rigs, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    network = SegmentationNetwork(VARIANTS['tiny']('camvid', 11))
    network.state_dict()['backbone.layer3.0.bn1.running_var'].mul_(-1)
    path = tmp_path / 'damaged.safetensors'
    save_network(network, path)
    rig = make_rig(path, autostart=False)
    assert not rig.in_node(rig.node.autostart)
    diagnosis = rig.peer.diagnostics(lambda status: status.level == DiagnosticStatus.ERROR)
    assert str(path) in diagnosis.message and 'not finite' in diagnosis.message
    assert 'Traceback' not in capfd.readouterr().err


def test_stamps_may_go_back_by_a_tenth_of_a_second(make_rig: Rigs) -> None:
    rig = make_rig(threshold=1.0)
    for back_ns, resets in ((0, True), (0, False), (1_000, False), (SECOND // 10, False),
                            (SECOND // 10 + 1, True)):
        status = rig.send(image_message(picture(), stamp_ns=5 * SECOND - back_ns))[1]
        assert status.key_frame == resets


def test_s_h_that_hangs_is_told_while_it_hangs(
        make_rig: Rigs, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()

    def hang(high: torch.Tensor) -> torch.Tensor:
        assert go.wait(60)
        return high

    fault = Fault(monkeypatch, hang)
    rig = make_rig(threshold=0.0, cpu_threads=1)
    stamp_ns = rig.peer.now_ns()
    rig.send(image_message(picture(), stamp_ns=stamp_ns))
    fault.on.set()
    rig.send(image_message(picture(), stamp_ns=stamp_ns + 1))
    assert fault.met.wait(60)
    rig.peer.publish(image_message(picture(), stamp_ns=stamp_ns + 2))    # waits for its turn
    diagnosis = rig.peer.diagnostics(lambda status: 'a frame has been in work' in status.message)
    assert diagnosis.level == DiagnosticStatus.ERROR
    assert 'S_h' in diagnosis.message and 'no image' not in diagnosis.message
    fault.on.clear()
    go.set()
    rig.peer.wait_for('/lvs/mask', 3)
    rig.peer.diagnostics(lambda status: 'in work' not in status.message
                         and 'S_h' not in status.message)


def test_a_node_that_was_shut_down_is_not_ok(make_rig: Rigs) -> None:
    rig = make_rig()
    request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_ACTIVE_SHUTDOWN))
    assert rig.peer.call(ChangeState, '/lvs/change_state', request).success
    diagnosis = rig.peer.diagnostics(lambda status: 'shut down' in status.message)
    assert diagnosis.level == DiagnosticStatus.STALE
