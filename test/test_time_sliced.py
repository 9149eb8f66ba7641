# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The time-sliced executor: one thread for all, never two at a time, frames first."""

import contextlib
import gc
import os
import threading
import time
import weakref
from typing import Any, Callable, Iterable, Iterator

import pytest
import torch

from hand_clock import HandClock
from lvs_ros.checkpoints import checkpoint, is_interruptible
from lvs_ros.backends.cpu.library import kernels
from lvs_ros.pipeline.execution import Job, TimeSlicedExecutor
from lvs_ros.pipeline.execution.frame_priority import FramePriority
from lvs_ros.pipeline.threads import core_numbers


class NotedPriority(FramePriority):
    """Tells when a frame waits: that is when the worker's threads would be raised."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = threading.Semaphore(0)

    def __bool__(self) -> bool:
        return True

    @contextlib.contextmanager
    def raised(self, threads: Iterable[int]) -> Iterator[bool]:
        yield True

    def give(self, threads: Iterable[int]) -> None:
        self.waits.release()

    def take(self, threads: Iterable[int]) -> None:
        pass


class Rig:
    """An executor, frames that are asked for in another thread, and the order of what is done."""

    def __init__(self) -> None:
        self.clock, self.priority = HandClock(), NotedPriority()
        self.executor = TimeSlicedExecutor(
            threads=1, priority=self.priority, clock=self.clock.now)
        self.order: list[str] = []
        self.threads: list[threading.Thread] = []

    def work(self, name: str, takes_s: float = 0.0) -> None:
        self.order.append(name)
        self.clock.sleep_until(self.clock.now() + takes_s)

    def want_frame(self, name: str, takes_s: float = 0.0, *, goes_on: bool = False) -> None:
        """Ask for a frame; returns when it waits."""
        self.threads.append(threading.Thread(
            target=self.executor.run, args=(lambda: self.work(name, takes_s),),
            kwargs={'goes_on': goes_on}, daemon=True))
        self.threads[-1].start()
        assert self.priority.waits.acquire(timeout=30)

    def submit(self, function: Callable[[], object]) -> None:
        def compute() -> torch.Tensor:
            function()
            return torch.zeros(1)
        self.executor.submit(Job(None, 0, compute))

    def join(self) -> list[str]:
        """Wait until all is done; return the order."""
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive()
        self.executor.wait(30)
        self.executor.close()
        return self.order


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.executor.close()


def test_a_waiting_frame_is_computed_at_the_next_checkpoint(rig: Rig) -> None:
    threads = set()

    def job() -> None:
        for number in range(3):
            rig.work(f'piece {number}')
            threads.add(threading.get_ident())
            if number == 0:
                rig.want_frame('frame')
            checkpoint()

    rig.submit(job)
    rig.executor.wait(30)
    threads.add(rig.executor.run(threading.get_ident))
    assert rig.join() == ['piece 0', 'frame', 'piece 1', 'piece 2']
    assert len(threads) == 1 and threading.get_ident() not in threads


def test_work_between_frames_lets_them_go_first_and_jobs_wait(rig: Rig) -> None:
    def between() -> None:
        rig.submit(lambda: rig.work('job'))
        for number in range(2):
            rig.work(f'work {number}')
            if number == 0:
                rig.want_frame('frame')
            checkpoint()

    rig.executor.run_between(between)
    rig.executor.wait(30)
    assert rig.join() == ['work 0', 'frame', 'work 1', 'job']


def test_close_ends_work_between_frames_at_its_next_checkpoint() -> None:
    executor, begun, after = TimeSlicedExecutor(threads=1), threading.Event(), []

    def between() -> None:
        deadline_s = time.monotonic() + 30
        while time.monotonic() < deadline_s:
            checkpoint()
            begun.set()
        after.append('was not ended')

    executor.run_between(between)
    assert begun.wait(30)
    executor.close(timeout_s=30)
    assert after == []


def test_no_checkpoint_of_a_frame_means_anything(rig: Rig) -> None:
    seen = []

    def job() -> None:
        seen.append(is_interruptible())
        rig.want_frame('frame')
        checkpoint()
        seen.append(is_interruptible())

    assert not rig.executor.run(is_interruptible)
    assert rig.priority.waits.acquire(timeout=30)
    rig.submit(job)
    rig.join()
    assert seen == [True, True]


@pytest.mark.parametrize('piece_s, pieces_between', [
    (0.03, 1), (0.004, 3), (0.01, 1), (0.005, 2)])
def test_between_two_frames_a_job_has_a_tenth_of_the_time(
        rig: Rig, piece_s: float, pieces_between: int) -> None:
    def job() -> None:
        rig.want_frame('frame', takes_s=0.0999)
        checkpoint()
        rig.want_frame('frame')
        for _ in range(5):
            rig.work('piece', takes_s=piece_s)
            checkpoint()

    rig.submit(job)
    assert rig.join() == ['frame'] + ['piece'] * pieces_between + ['frame'] + ['piece'] * (
        5 - pieces_between)


def test_what_belongs_to_a_frame_goes_before_the_tenth_and_adds_to_it(rig: Rig) -> None:
    def job() -> None:
        rig.want_frame('frame', takes_s=0.0999)
        checkpoint()
        rig.want_frame('forecast', takes_s=0.0999, goes_on=True)
        checkpoint()
        rig.want_frame('frame')
        for _ in range(6):
            rig.work('piece', takes_s=0.004)
            checkpoint()

    rig.submit(job)
    assert rig.join() == ['frame', 'forecast'] + ['piece'] * 5 + ['frame', 'piece']


def test_a_new_job_has_its_tenth_too(rig: Rig) -> None:
    rig.executor.run(lambda: rig.work('frame', takes_s=1.0))
    assert rig.priority.waits.acquire(timeout=30)
    occupied, go = threading.Event(), threading.Event()

    def first() -> None:
        occupied.set()
        assert go.wait(30)

    rig.submit(first)
    assert occupied.wait(30)
    rig.submit(lambda: rig.work('job'))
    rig.want_frame('frame')
    go.set()
    assert rig.join() == ['frame', 'job', 'frame']


def test_everything_is_computed_in_one_thread_and_never_two_at_a_time() -> None:
    executor, inside = TimeSlicedExecutor(threads=1), threading.Lock()
    failed: list[str] = []
    threads: set[int] = set()

    def compute() -> torch.Tensor:
        threads.add(threading.get_ident())
        if inside.acquire(blocking=False):
            inside.release()
        else:
            failed.append('two at a time')
        return torch.zeros(1)

    def job() -> torch.Tensor:
        for _ in range(100):
            compute()
            checkpoint()
        return torch.zeros(1)

    for _ in range(300):
        executor.submit(Job(None, 0, job))
        executor.run(compute)
    executor.close()
    assert failed == []
    assert len(threads) == 1 and threading.get_ident() not in threads


def test_nothing_stays_of_a_frame_that_failed() -> None:
    # What it computed with is large, and must not wait for the next garbage collection.
    class Large:
        pass

    def call(seen: list[weakref.ref[Large]]) -> None:
        large = Large()
        seen.append(weakref.ref(large))

        def fail(_held: Large = large) -> None:
            raise ValueError('given up')

        with pytest.raises(ValueError, match='given up'):
            executor.run(fail)

    executor = TimeSlicedExecutor(threads=1)
    seen: list[weakref.ref[Large]] = []
    gc.disable()
    try:
        for _ in range(10):
            call(seen)
        executor.run(lambda: 'the worker has done with the last one')
        assert [one() for one in seen] == [None] * 10
    finally:
        gc.enable()
        executor.close()


def test_frames_and_jobs_have_the_threads_that_were_asked_for() -> None:
    before = torch.get_num_threads()
    executor, seen = TimeSlicedExecutor(threads=3), []

    def job() -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return torch.zeros(1)

    assert executor.run(torch.get_num_threads) == 3
    executor.submit(Job(None, 0, job))
    executor.wait(30)
    executor.close()
    assert seen == [3] and torch.get_num_threads() == before


@pytest.mark.skipif(kernels() is None or len(core_numbers()) < 2,
                    reason='needs the native kernels, and two cores')
def test_each_thread_of_a_bound_team_has_a_core_of_its_own() -> None:
    cores = core_numbers()[:2]
    before = set(os.listdir('/proc/self/task'))
    executor = TimeSlicedExecutor(threads=2, cores=cores[::-1])
    assert executor.run(lambda: os.sched_getaffinity(0)) == {cores[1]}
    team = set(os.listdir('/proc/self/task')) - before
    assert sorted(list(os.sched_getaffinity(int(thread))) for thread in team) == [
        [core] for core in cores]
    # A new team begins where the worker is, and is spread out before the next frame.
    executor.run(lambda: torch.set_num_threads(1))
    executor.run(lambda: torch.set_num_threads(2))
    executor.run(lambda: torch.ones(1000, 1000).exp())
    team = set(os.listdir('/proc/self/task')) - before
    assert sorted(list(os.sched_getaffinity(int(thread))) for thread in team) == [
        [core] for core in cores]
    assert os.sched_getaffinity(0) == set(core_numbers())
    executor.close()


def test_a_team_is_left_to_the_system_unless_told_otherwise() -> None:
    executor = TimeSlicedExecutor(threads=2)
    assert executor.run(core_numbers) == core_numbers()
    executor.close()


def test_a_frame_whose_thread_was_interrupted_is_not_computed(
        rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> bool:
        raise KeyboardInterrupt

    def job() -> None:
        assert go.wait(30)
        checkpoint()

    go = threading.Event()
    rig.submit(job)
    with monkeypatch.context() as patch:
        patch.setattr('concurrent.futures.Future.result', interrupted)
        with pytest.raises(KeyboardInterrupt):
            rig.executor.run(lambda: rig.work('frame'))
    go.set()
    assert rig.executor.run(lambda: 'another') == 'another'
    assert rig.join() == []


def test_close_gives_a_waiting_frame_back_to_its_thread(rig: Rig) -> None:
    occupied, go = threading.Event(), threading.Event()

    def job() -> None:
        occupied.set()
        assert go.wait(30)

    rig.submit(job)
    assert occupied.wait(30)
    rig.want_frame('frame')
    rig.executor.close(timeout_s=0.01)
    assert rig.executor.run(lambda: 'later') == 'later'    # and one that comes later
    go.set()
    assert rig.join() == ['frame']


def test_close_from_its_own_thread_does_not_wait_for_itself() -> None:
    executor = TimeSlicedExecutor(threads=1)
    executor.run(executor.close)
