# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The lane: one thread for all, never two at a time, frames first, steps between two frames."""

import gc
import os
import threading
import time
import weakref
from typing import Any, Callable, Iterator, Optional

import pytest
import torch

from hand_clock import HandClock
from lvs_ros.backends.cpu.library import kernels
from lvs_ros.pipeline import lane as lane_module
from lvs_ros.pipeline.lane import Lane
from lvs_ros.pipeline.threads import core_numbers


class WatchedLane(Lane):
    """Tells when somebody has begun to wait, so that a test need not sleep."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.waiting = threading.Semaphore(0)
        super().__init__(clock=clock)

    def _wait_for(self, call: Any) -> Any:
        self.waiting.release()
        return super()._wait_for(call)


class Rig:
    """Threads that want something computed, and the order in which it was."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.lane = WatchedLane(clock)
        self.order: list[str] = []
        self.threads: list[threading.Thread] = []
        self.entered, self.leave = threading.Semaphore(0), threading.Semaphore(0)

    def want(self, name: str) -> None:
        """Ask for a frame or a step in a thread of its own; returns when it has asked."""
        def work() -> str:
            self.order.append(name)
            return 'done'

        self.start(name, work)

    def occupy(self, name: str) -> None:
        """Ask for one that takes until :attr:`leave` is released; returns when it has begun."""
        def work() -> str:
            self.entered.release()
            assert self.leave.acquire(timeout=30)
            return 'done'

        self.start(name, work)
        assert self.entered.acquire(timeout=30)

    def start(self, name: str, work: Callable[[], Optional[str]]) -> None:
        """Ask for what is given in a thread of its own; returns when it has asked."""
        thread = threading.Thread(target=getattr(self.lane, name), args=(work,), daemon=True)
        self.threads.append(thread)
        thread.start()
        assert self.lane.waiting.acquire(timeout=30)

    def join(self) -> None:
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive()


def test_a_frame_goes_before_a_step_that_waited_longer() -> None:
    rig = Rig()
    rig.occupy('steps')
    rig.want('steps')
    rig.want('frame')
    rig.leave.release()
    rig.join()
    assert rig.order == ['frame', 'steps']


@pytest.mark.parametrize('step_ms, steps_between', [(30, 1), (4, 3), (10, 1), (5, 2)])
def test_between_two_frames_steps_have_a_tenth_of_the_time(
        step_ms: int, steps_between: int) -> None:
    clock = HandClock()
    rig = Rig(clock.now)

    def step() -> Optional[str]:
        clock.sleep_until(clock.now() + step_ms / 1000)
        rig.order.append('step')
        return 'done' if len(rig.order) == 5 else None

    def frame() -> str:
        rig.entered.release()
        assert rig.leave.acquire(timeout=30)
        clock.sleep_until(clock.now() + 0.0999)
        return 'done'

    rig.start('frame', frame)
    assert rig.entered.acquire(timeout=30)
    rig.want('frame')
    rig.start('steps', step)
    rig.leave.release()
    rig.join()
    assert rig.order == ['step'] * steps_between + ['frame'] + ['step'] * (4 - steps_between)


def test_a_frame_goes_between_two_steps() -> None:
    rig = Rig()
    calls = iter([None, None, 'done'])

    def step() -> Optional[str]:
        rig.order.append('step')
        if len(rig.order) == 1:    # a frame comes while the first step runs
            rig.want('frame')
        return next(calls)

    assert rig.lane.steps(step) == 'done'
    rig.join()
    assert rig.order == ['step', 'frame', 'step', 'step']


def test_who_is_alone_never_waits() -> None:
    lane = Lane()
    order: list[int] = []
    for number, kind in enumerate(
            (lane.frame, lane.frame, lane.steps, lane.steps, lane.frame)):
        kind(lambda number=number: [order.append(number)])  # type: ignore
    assert order == [0, 1, 2, 3, 4]


def test_everything_is_computed_in_one_thread_and_never_two_at_a_time() -> None:
    lane = Lane()
    inside = threading.Lock()
    failed: list[str] = []
    threads: set[int] = set()

    def compute() -> str:
        threads.add(threading.get_ident())
        if inside.acquire(blocking=False):
            inside.release()
        else:
            failed.append('two at a time')
        return 'done'

    def work(kind: str) -> None:
        for _ in range(300):
            getattr(lane, kind)(compute)

    workers = [threading.Thread(target=work, args=(kind,), daemon=True)
               for kind in ('frame', 'steps')]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
        assert not worker.is_alive()
    assert failed == []
    assert len(threads) == 1 and threading.get_ident() not in threads


def test_results_and_exceptions_come_back_to_the_one_who_asked() -> None:
    lane = Lane()

    def fail() -> str:
        raise KeyboardInterrupt('mine')

    assert lane.frame(lambda: 'frame') == 'frame'
    for kind in (lane.frame, lane.steps):
        with pytest.raises(KeyboardInterrupt, match='mine'):
            kind(fail)
    assert lane.steps(lambda: 'steps') == 'steps'


@pytest.mark.parametrize('name', ['frame', 'steps'])
def test_nothing_stays_of_a_call_that_failed(name: str) -> None:
    # Refinements are given up by an exception, several times a second; what they computed with is
    # large, and must not wait for Python's search for cycles.
    class Large:
        pass

    def call(seen: list[weakref.ref[Large]]) -> None:
        large = Large()
        seen.append(weakref.ref(large))

        def fail(_held: Large = large) -> None:
            raise ValueError('given up')

        with pytest.raises(ValueError, match='given up'):
            getattr(lane, name)(fail)

    lane = Lane()
    seen: list[weakref.ref[Large]] = []
    gc.disable()
    try:
        for _ in range(10):
            call(seen)
        lane.frame(lambda: 'the lane has done with the last one')
        assert [one() for one in seen] == [None] * 10
    finally:
        gc.enable()
        lane.close()


def test_teams_have_the_sizes_that_were_asked_for() -> None:
    lane = Lane(frame_threads=3, step_threads=1)
    before = torch.get_num_threads()
    for _ in range(2):
        assert lane.frame(torch.get_num_threads) == 3
        assert lane.steps(torch.get_num_threads) == 1
    assert torch.get_num_threads() == before


@pytest.mark.skipif(kernels() is None or len(core_numbers()) < 2,
                    reason='needs the native kernels, and two cores')
def test_each_thread_of_a_bound_team_has_a_core_of_its_own() -> None:
    cores = core_numbers()[:2]
    before = set(os.listdir('/proc/self/task'))
    lane = Lane(frame_threads=2, step_threads=2, bound_to=cores[::-1])
    assert lane.frame(lambda: os.sched_getaffinity(0)) == {cores[1]}
    team = set(os.listdir('/proc/self/task')) - before
    assert sorted(list(os.sched_getaffinity(int(thread))) for thread in team) == [
        [core] for core in cores]
    # A new team begins where the lane's thread is, and is spread out before the next frame.
    lane.frame(lambda: torch.set_num_threads(1))
    lane.frame(lambda: torch.ones(1000, 1000).exp())
    team = set(os.listdir('/proc/self/task')) - before
    assert sorted(list(os.sched_getaffinity(int(thread))) for thread in team) == [
        [core] for core in cores]
    assert os.sched_getaffinity(0) == set(core_numbers())
    lane.close()


def test_a_lane_leaves_its_team_to_the_system_unless_told_otherwise() -> None:
    assert Lane().frame(core_numbers) == core_numbers()


def test_who_is_interrupted_while_waiting_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()

    def interrupted(*_: Any) -> bool:
        raise KeyboardInterrupt

    rig.occupy('steps')
    with monkeypatch.context() as patch:
        patch.setattr(threading.Condition, 'wait_for', interrupted)
        with pytest.raises(KeyboardInterrupt):
            rig.lane.frame(lambda: rig.order.append('frame'))
    assert rig.lane.waiting.acquire(timeout=30)
    rig.want('steps')
    rig.leave.release()
    rig.join()
    assert rig.order == ['steps']    # the frame that has given up is not computed


def wait_late(rig: Rig) -> None:
    """Ask for a frame in a thread that gets no core when it is done; returns when it is done."""
    class Late(threading.Condition):
        def wait_for(self, predicate: Callable[[], Any], timeout: Any = None) -> Any:
            result = super().wait_for(predicate, timeout)
            self.release()
            rig.entered.release()
            assert rig.leave.acquire(timeout=30)
            self.acquire()
            rig.order.append('frame taken')
            return result

    call = lane_module._Call(lambda: 'done', 0, False, Late(rig.lane._lock), 0.0)
    rig.lane._frame = call
    rig.threads.append(threading.Thread(target=rig.lane._wait_for, args=(call,), daemon=True))
    rig.threads[-1].start()
    assert rig.lane.waiting.acquire(timeout=30) and rig.entered.acquire(timeout=30)


def test_no_step_runs_before_a_frame_is_in_the_hands_of_the_one_who_asked(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_module, '_HAND_OVER_S', 30.0)
    rig = Rig()
    wait_late(rig)
    rig.want('steps')
    rig.threads[-1].join(0.2)    # would be done by now
    rig.leave.release()
    rig.join()
    assert rig.order == ['frame taken', 'steps']


def test_a_frame_that_nobody_takes_holds_the_steps_up_for_a_moment_only() -> None:
    rig = Rig()
    wait_late(rig)
    rig.want('steps')
    rig.threads[-1].join(30)
    assert rig.order == ['steps']
    rig.leave.release()
    rig.join()


@pytest.mark.parametrize('busy', [False, True])
def test_it_rehearses_before_a_frame_that_it_expects_unless_there_are_steps(busy: bool) -> None:
    clock = HandClock()
    rig, rehearsed = Rig(clock.now), threading.Semaphore(0)

    def rehearsal() -> Iterator[None]:
        for name in ('first', 'second'):
            rig.order.append(name)
            yield
        rehearsed.release()

    rig.lane.rehearse(rehearsal)
    for _ in range(6):
        clock.sleep_until(clock.now() + 0.1)
        rig.lane.frame(lambda: rig.order.append('frame'))
    assert rig.order == ['frame'] * 6
    if busy:
        rig.occupy('steps')
    clock.sleep_until(clock.now() + 0.095)    # it looks at the clock again after a while
    if busy:
        rig.want('frame')
        rig.leave.release()
        rig.join()
        assert rig.order == ['frame'] * 7
    else:
        assert rehearsed.acquire(timeout=30)
        rig.lane.frame(lambda: rig.order.append('frame'))
        assert rig.order == ['frame'] * 6 + ['first', 'second', 'frame']
    rig.lane.close()


def test_close_ends_the_thread() -> None:
    lane = Lane()
    lane.frame(lambda: None)
    lane.close()
    assert not lane._thread.is_alive()
    other = Lane()
    other.frame(other.close)    # its own thread does not wait for itself


def test_close_lets_everybody_go() -> None:
    rig = Rig()
    rig.occupy('steps')    # for ever, as far as the others know
    rig.want('frame')
    rig.lane.close(timeout_s=0.01)
    rig.threads[1].join(30)
    assert rig.order == ['frame']
    rig.want('frame')     # and who comes later
    rig.threads[2].join(30)
    assert rig.order == ['frame', 'frame']
    rig.leave.release()
    rig.join()
