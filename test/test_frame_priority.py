# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Frames go before other programs, steps of S_h do not, and others get their share."""

import os
import threading
import warnings
from typing import Any, Callable, Iterator, Sequence

import pytest
import torch

from hand_clock import HandClock
from lvs_ros.backends.cpu.library import kernels
from lvs_ros.backends.prepare import prepare
from lvs_ros.checkpoints import checkpoint
from lvs_ros.model import VARIANTS, SegmentationNetwork
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.build import assemble
from lvs_ros.pipeline.execution import Job, TimeSlicedExecutor, frame_priority
from lvs_ros.pipeline.execution.frame_priority import FramePriority
from lvs_ros.pipeline.propagation import SpatiallyVariantPropagation
from lvs_ros.pipeline.threads import team_threads

OTHER, FIFO = 'other', 'fifo'


@pytest.fixture(autouse=True)
def without_priority() -> None:
    """Begin as other threads, whatever has run in this process before."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


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


def computed(executor: TimeSlicedExecutor, work: Callable[[], Any]) -> Any:
    """Run something as a job; return what it returned."""
    found = []

    def compute() -> torch.Tensor:
        found.append(work())
        return torch.zeros(1)

    executor.submit(Job(None, 0, compute))
    executor.wait(30)
    return found[0]


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
    executor = TimeSlicedExecutor(threads=1, priority=priority)
    assert not priority and executor.run(lambda: 'a frame') == 'a frame'
    assert computed(executor, lambda: 'a job') == 'a job'
    executor.close()
    assert refused.calls == 1


@needs_permission
def test_frames_go_on_where_it_is_refused_later(monkeypatch: pytest.MonkeyPatch) -> None:
    # A clock that stands still: a first frame that takes long uses up no share.
    executor = TimeSlicedExecutor(threads=1, priority=FramePriority(7, clock=HandClock().now))
    assert are_lowered_soon(executor.run(lambda: [threading.get_native_id()]))
    Refused(monkeypatch)
    with pytest.warns(UserWarning, match='priority 7 .*not permitted'):
        assert executor.run(lambda: 'a frame') == 'a frame'
    assert computed(executor, lambda: 'a job') == 'a job'
    assert executor.run(policy) == OTHER
    executor.close()


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


@pytest.fixture
def executor() -> Iterator[TimeSlicedExecutor]:
    made = TimeSlicedExecutor(threads=2, priority=FramePriority(1, clock=HandClock().now))
    yield made
    made.close()


@needs_permission
@needs_team
def test_the_caller_and_the_team_are_raised_for_a_frame_and_not_for_a_job(
        executor: TimeSlicedExecutor) -> None:
    executor.run(lambda: None)    # before it, the team is not known
    waiting: list[str] = []
    caller = threading.get_native_id()

    def see() -> list[str]:
        waiting.append(policy(caller))
        return [policy(thread) for thread in team_threads(2)]

    for _ in range(2):
        assert executor.run(see) == [FIFO, FIFO]
        assert computed(executor, see) == [OTHER, OTHER]
    assert waiting == [FIFO, OTHER] * 2
    assert policy() == OTHER


@needs_permission
@needs_team
def test_nothing_is_raised_while_there_is_nothing_to_compute(
        executor: TimeSlicedExecutor) -> None:
    executor.run(lambda: None)
    assert are_lowered_soon(executor.run(lambda: team_threads(2)))


@needs_permission
@needs_team
def test_a_job_that_a_frame_waits_for_is_raised_until_its_next_checkpoint(
        executor: TimeSlicedExecutor) -> None:
    assert executor.run(policy) == FIFO    # the first one shows whose threads they are
    entered, seen = threading.Event(), []

    def compute() -> torch.Tensor:
        seen.append(policy())
        entered.set()
        for _ in range(3000):
            if policy() == FIFO:
                break
            threading.Event().wait(0.01)
        seen.append(policy())
        checkpoint()
        seen.append(policy())
        return torch.zeros(1)

    executor.submit(Job(None, 0, compute))
    assert entered.wait(30)
    assert executor.run(policy) == FIFO
    executor.wait(30)
    assert seen == [OTHER, FIFO, OTHER]


@needs_permission
@pytest.mark.parametrize('cpu_threads', [2, 4])    # time-sliced, partitioned
@pytest.mark.parametrize('realtime_priority', [0, 2])
def test_a_pipeline_raises_its_frames_where_it_is_told_to(
        cpu_threads: int, realtime_priority: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_priority, '_BURST_S', 1000.0)
    network = prepare(SegmentationNetwork(VARIANTS['tiny']('camvid', 11)),
                      device=torch.device('cpu'), precision='float32')
    seen = []

    class Watched(SpatiallyVariantPropagation):
        def embed(self, low: torch.Tensor) -> torch.Tensor:
            seen.append(policy())
            return super().embed(low)

    options = PipelineOptions(cpu_threads=cpu_threads, realtime_priority=realtime_priority)
    with assemble(network, options, propagation=Watched(network)) as pipeline:
        pipeline.warm_up(64, 48)
    assert seen == [FIFO if realtime_priority else OTHER] * 4
    assert policy() == OTHER
