# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Frames go before other programs, steps of S_h do not, and others get their share."""

import os
import threading
import warnings
from typing import Any, Iterator, Optional, Sequence

import pytest
import torch

from hand_clock import HandClock
from lvs_ros.backends.cpu.library import kernels
from lvs_ros.errors import ConfigurationError
from lvs_ros.model import VARIANTS, SegmentationNetwork
from lvs_ros.pipeline import PipelineOptions, frame_priority
from lvs_ros.pipeline.build import assemble, check_options, prepare
from lvs_ros.pipeline.frame_priority import FramePriority
from lvs_ros.pipeline.lane import Lane
from lvs_ros.pipeline.propagation import SpatiallyVariantPropagation
from lvs_ros.pipeline.threads import team_threads

OTHER, FIFO = 'other', 'fifo'


def policy(thread: int = 0) -> str:
    """Return the class of a thread; 0 = the calling one."""
    found = os.sched_getscheduler(thread) & ~os.SCHED_RESET_ON_FORK
    return {os.SCHED_OTHER: OTHER, os.SCHED_FIFO: FIFO}[found]


def _is_permitted() -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return bool(FramePriority(1))


needs_permission = pytest.mark.skipif(
    not _is_permitted(), reason='no permission for real-time priorities here')
needs_team = pytest.mark.skipif(kernels() is None, reason='needs the native kernels')


def are_lowered_soon(threads: Sequence[int]) -> bool:
    """Wait until they are, for half a minute at most."""
    for _ in range(3000):
        if {policy(thread) for thread in threads} == {OTHER}:
            return True
        threading.Event().wait(0.01)
    return False


class Refused:
    """A system that gives nobody a priority."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        monkeypatch.setattr(os, 'sched_setscheduler', self)

    def __call__(self, *_: Any) -> None:
        self.calls += 1
        raise PermissionError(1, 'Operation not permitted')


def test_where_it_is_refused_there_is_a_warning_and_frames_go_on(
        monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Refused(monkeypatch)
    with pytest.warns(UserWarning, match='priority 7 .*not permitted.*rtprio 7.*SYS_NICE'):
        priority = FramePriority(7)
    lane = Lane(priority=priority)
    assert not priority and lane.frame(lambda: 'a frame') == 'a frame'
    assert lane.steps(lambda: 'a step') == 'a step'
    lane.close()
    assert refused.calls == 1


@needs_permission
def test_frames_go_on_where_it_is_refused_later(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = Lane(priority=FramePriority(7))
    assert are_lowered_soon(lane.frame(lambda: [threading.get_native_id()]))
    Refused(monkeypatch)
    with pytest.warns(UserWarning, match='priority 7 .*not permitted'):
        assert lane.frame(lambda: 'a frame') == 'a frame'
    assert lane.steps(lambda: 'a step') == 'a step'
    assert lane.frame(policy) == OTHER
    lane.close()


def test_without_a_priority_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Refused(monkeypatch)
    with FramePriority().raised([0]) as is_raised:
        assert not is_raised
    assert refused.calls == 0


@needs_permission
def test_threads_are_raised_in_the_block_only() -> None:
    with FramePriority(3).raised([threading.get_native_id()]) as is_raised:
        assert is_raised and policy() == FIFO
        assert os.sched_getparam(0).sched_priority == 3
        seen: list[str] = []
        starter = threading.Thread(target=lambda: seen.append(policy()))
        starter.start()    # what a raised thread starts is not raised
        starter.join()
        assert seen == [OTHER]
    assert policy() == OTHER
    with pytest.raises(ValueError), FramePriority(3).raised([threading.get_native_id()]):
        raise ValueError
    assert policy() == OTHER


@needs_permission
def test_a_thread_that_has_ended_does_not_matter() -> None:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    assert thread.native_id is not None
    with FramePriority(1).raised([thread.native_id, threading.get_native_id()]):
        assert policy() == FIFO


@needs_permission
def test_a_process_in_a_class_of_its_own_is_left_as_it_is() -> None:
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(5))
    try:
        with pytest.warns(UserWarning, match=r'a class of its own.*\): set realtime_priority'):
            priority = FramePriority(50)
        with priority.raised([threading.get_native_id()]) as is_raised:
            assert not is_raised and os.sched_getscheduler(0) == os.SCHED_RR
            assert os.sched_getparam(0).sched_priority == 5
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def shares(frame_s: float, pause_s: float, count: int) -> Iterator[bool]:
    """Frames of a length with pauses; yield of each whether it was raised."""
    clock = HandClock()
    priority = FramePriority(1, clock=clock.now)
    for _ in range(count):
        with priority.raised([]) as is_raised:
            clock.sleep_until(clock.now() + frame_s)
        yield is_raised
        clock.sleep_until(clock.now() + pause_s)


@pytest.mark.parametrize('frame_s, pause_s', [(0.02, 0.047), (0.06, 0.016), (0.2, 0.06)])
def test_a_camera_that_leaves_time_has_all_its_frames_raised(
        frame_s: float, pause_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_priority, '_can_be_given', lambda _: True)
    assert all(shares(frame_s, pause_s, 200))


def test_frame_after_frame_others_have_a_fifth_of_the_time_and_never_wait_for_a_second(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_priority, '_can_be_given', lambda _: True)
    raised = list(shares(0.02, 0.0, 1000))
    assert sum(raised) / len(raised) == pytest.approx(0.8, abs=0.02)
    longest = max(len(run) for run in ''.join('x' if one else ' ' for one in raised).split())
    assert longest * 0.02 < 0.9


@needs_permission
@needs_team
def test_a_lane_raises_who_asks_and_the_team_for_a_frame_and_nobody_for_steps() -> None:
    lane = Lane(frame_threads=2, step_threads=2, priority=FramePriority(1))
    lane.frame(lambda: None)    # before it, the team is not known
    waiting: list[str] = []
    caller = threading.get_native_id()

    def see() -> list[str]:
        waiting.append(policy(caller))
        return [policy(thread) for thread in team_threads(2)]

    for _ in range(2):
        assert lane.frame(see) == [FIFO, FIFO]
        assert lane.steps(see) == [OTHER, OTHER]
    assert waiting == [FIFO, OTHER] * 2
    assert policy() == OTHER
    lane.close()


@needs_permission
@needs_team
def test_nobody_is_raised_while_the_lane_has_nothing_to_do() -> None:
    lane = Lane(frame_threads=2, step_threads=2, priority=FramePriority(1))
    lane.frame(lambda: None)
    assert are_lowered_soon(lane.frame(lambda: team_threads(2)))
    lane.close()


@needs_permission
@needs_team
def test_a_frame_that_waits_for_steps_that_are_owed_is_raised_all_the_same(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_priority, '_BURST_S', 1000.0)
    lane = Lane(frame_threads=1, step_threads=1, priority=FramePriority(1))
    lane.frame(lambda: None)
    ended, steps = threading.Event(), []

    def step() -> Optional[str]:
        steps.append(policy())
        return 'done' if ended.is_set() else None

    def frame() -> str:
        threading.Event().wait(0.02)    # a tenth of it is owed to the steps
        return policy()

    worker = threading.Thread(target=lane.steps, args=(step,), daemon=True)
    worker.start()
    assert [lane.frame(frame) for _ in range(10)] == [FIFO] * 10
    ended.set()
    worker.join(30)
    assert FIFO in steps    # those that a frame waits for
    lane.close()


@needs_permission
@needs_team
def test_a_step_that_runs_when_a_frame_comes_is_hurried() -> None:
    lane = Lane(frame_threads=1, step_threads=1, priority=FramePriority(1))
    assert lane.frame(policy) == FIFO    # the first one shows whose thread it is
    entered, seen = threading.Event(), []

    def step() -> str:
        seen.append(policy())
        entered.set()
        for _ in range(3000):
            if policy() == FIFO:
                break
            threading.Event().wait(0.01)
        seen.append(policy())
        return 'done'

    worker = threading.Thread(target=lane.steps, args=(step,), daemon=True)
    worker.start()
    assert entered.wait(30)
    assert lane.frame(policy) == FIFO
    worker.join(30)
    assert seen == [OTHER, FIFO]
    assert lane.steps(policy) == OTHER
    lane.close()


@needs_permission
@pytest.mark.parametrize('cpu_sharing', ['turns', 'side_by_side'])
@pytest.mark.parametrize('realtime_priority', [0, 2])
def test_a_pipeline_raises_its_frames_where_it_is_told_to(
        cpu_sharing: str, realtime_priority: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_priority, '_BURST_S', 1000.0)
    network = prepare(SegmentationNetwork(VARIANTS['tiny']('camvid', 11)),
                      device=torch.device('cpu'), precision='float32')
    seen = []

    class Watched(SpatiallyVariantPropagation):
        def describe(self, *arguments: Any) -> Any:
            seen.append(policy())
            return super().describe(*arguments)

    options = PipelineOptions(cpu_sharing=cpu_sharing, realtime_priority=realtime_priority)
    with assemble(network, options, propagation=Watched(network)) as pipeline:
        pipeline.warm_up(64, 48)
    assert seen == [FIFO if realtime_priority else OTHER] * 2
    assert policy() == OTHER


@pytest.mark.parametrize('value', [-1, 100])
def test_a_priority_that_linux_does_not_know_is_refused(value: int) -> None:
    with pytest.raises(ConfigurationError, match=f'is {value}: expected 1 to 99'):
        check_options(PipelineOptions(realtime_priority=value))
