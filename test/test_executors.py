# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What both executors with a worker do: one job running, one waiting, the newest wins."""

import threading
import time
from typing import Callable, Iterator, Optional

import pytest
import torch

from lvs_ros.checkpoints import checkpoint
from lvs_ros.pipeline.execution import (Executor, Job, JobResult, PartitionedExecutor,
                                        TimeSlicedExecutor)

Function = Callable[[torch.Tensor], torch.Tensor]


def job(number: int, high: Function = lambda low: low * 10, refine: Optional[Function] = None
        ) -> Job:
    """A job whose F_l is its number."""
    return Job(number, number * 100, lambda: high(torch.tensor([float(number)])), refine)


def plus_half(high: torch.Tensor) -> torch.Tensor:
    checkpoint()
    return high + 0.5


class Gate:
    """S_h that a test holds up, between two checkpoints."""

    def __init__(self) -> None:
        self.entered, self.go = threading.Semaphore(0), threading.Semaphore(0)
        self.passed: list[float] = []

    def __call__(self, low: torch.Tensor) -> torch.Tensor:
        checkpoint()
        self.entered.release()
        assert self.go.acquire(timeout=30)
        checkpoint()
        self.passed.append(float(low))
        return low * 10


@pytest.fixture(params=['time-sliced', 'partitioned'])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    made: Executor = (TimeSlicedExecutor(threads=1) if request.param == 'time-sliced'
                      else PartitionedExecutor(threads=2))
    yield made
    made.close()


def wait_for_results(executor: Executor, count: int) -> list[JobResult]:
    results: list[JobResult] = []
    for _ in range(3000):
        results += executor.results(0)
        if len(results) >= count:
            return results
        threading.Event().wait(0.01)
    raise AssertionError(f'{len(results)} of {count} results came')


def told(results: list[JobResult]) -> list[tuple[int, bool, Optional[float]]]:
    return [(one.job.key, one.refined, None if one.high is None else float(one.high))
            for one in results]


def test_one_runs_one_waits_and_the_newest_wins(executor: Executor) -> None:
    gate = Gate()
    executor.submit(job(1, gate))
    assert gate.entered.acquire(timeout=30)
    for number in (2, 3, 4):
        executor.submit(job(number, gate))
    assert executor.busy
    gate.go.release(2)
    assert told(wait_for_results(executor, 2)) == [(1, False, 10.0), (4, False, 40.0)]
    assert not executor.busy


@pytest.mark.parametrize('error', [
    RuntimeError, SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration])
def test_whatever_the_network_raises_is_a_failure_and_the_next_job_runs(
        executor: Executor, error: type[BaseException]) -> None:
    def high(low: torch.Tensor) -> torch.Tensor:
        checkpoint()
        raise error('enough')

    executor.submit(job(1, high))
    failed, = wait_for_results(executor, 1)
    assert failed.high is None and failed.error == f'{error.__name__}: enough'
    executor.submit(job(2))
    assert told(wait_for_results(executor, 1)) == [(2, False, 20.0)]


@pytest.mark.parametrize('refines', [False, True])
@pytest.mark.parametrize('value', ['nan', 'inf', '-inf'])
def test_what_is_not_finite_is_a_failure(executor: Executor, value: str, refines: bool) -> None:
    bad = torch.tensor([1.0, float(value), 2.0])
    executor.submit(job(1, lambda low: low if refines else bad, lambda high: bad))
    results = wait_for_results(executor, 2 if refines else 1)
    assert results[-1].high is None and results[-1].error is not None
    assert results[-1].error.endswith('F_h is not finite')
    assert not refines or results[0].error is None


def test_how_long_a_job_has_passed_no_checkpoint(executor: Executor) -> None:
    gate = Gate()
    assert executor.stalled_s == 0.0
    before_s = time.monotonic()
    executor.submit(job(1, gate))
    assert gate.entered.acquire(timeout=30)
    threading.Event().wait(0.05)
    assert 0.05 <= executor.stalled_s <= time.monotonic() - before_s
    executor.cancel()    # it stalls nevertheless
    assert executor.stalled_s >= 0.05
    executor.submit(job(2))
    gate.go.release()
    wait_for_results(executor, 1)
    executor.close()
    assert executor.stalled_s == 0.0


def test_a_cancelled_job_ends_at_its_next_checkpoint(executor: Executor) -> None:
    gate = Gate()
    executor.submit(job(1, gate))
    assert gate.entered.acquire(timeout=30)
    executor.cancel()
    assert not executor.busy
    executor.submit(job(2, gate))
    gate.go.release(2)
    assert told(wait_for_results(executor, 1)) == [(2, False, 20.0)]
    assert gate.passed == [2.0] and executor.results(0) == []


def test_no_handler_of_the_network_takes_cancelling_for_a_failure(executor: Executor) -> None:
    gate = Gate()

    def high(low: torch.Tensor) -> torch.Tensor:
        try:
            return gate(low)
        except Exception:
            return low

    executor.submit(job(1, high))
    assert gate.entered.acquire(timeout=30)
    executor.cancel()
    gate.go.release()
    executor.submit(job(2))
    assert told(wait_for_results(executor, 1)) == [(2, False, 20.0)]


def test_a_result_that_was_not_taken_is_forgotten(executor: Executor) -> None:
    executor.submit(job(1))
    executor.wait(30)
    assert not executor.busy
    executor.cancel()
    assert executor.results(0) == []


def test_close_cancels_a_job_and_ends_the_worker(executor: Executor) -> None:
    gate = Gate()
    executor.submit(job(1, gate))
    assert gate.entered.acquire(timeout=30)
    closer = threading.Thread(target=executor.close)
    closer.start()
    while executor.busy:
        threading.Event().wait(0.01)
    gate.go.release()
    closer.join(30)
    assert not closer.is_alive() and gate.passed == []
    assert 'lvs_worker' not in [thread.name for thread in threading.enumerate()]


def test_close_returns_although_a_job_hangs(executor: Executor) -> None:
    gate = Gate()
    executor.submit(job(1, gate))
    assert gate.entered.acquire(timeout=30)
    assert isinstance(executor, (TimeSlicedExecutor, PartitionedExecutor))
    executor.close(timeout_s=0.05)
    assert not executor.busy
    gate.go.release()


def test_a_result_is_refined_where_no_job_waits(executor: Executor) -> None:
    executor.submit(job(3, refine=plus_half))
    assert told(wait_for_results(executor, 2)) == [(3, False, 30.0), (3, True, 30.5)]
    assert not executor.busy


def test_a_job_that_waits_goes_before_refining(executor: Executor) -> None:
    gate = Gate()
    executor.submit(job(1, gate, plus_half))
    assert gate.entered.acquire(timeout=30)
    executor.submit(job(2, refine=plus_half))
    gate.go.release()
    assert told(wait_for_results(executor, 3)) == [
        (1, False, 10.0), (2, False, 20.0), (2, True, 20.5)]


@pytest.mark.parametrize('by', ['a new job', 'a reset'])
def test_refining_is_cancelled(executor: Executor, by: str) -> None:
    gate = Gate()
    executor.submit(job(1, refine=gate))
    assert gate.entered.acquire(timeout=30)
    assert told(wait_for_results(executor, 1)) == [(1, False, 10.0)] and executor.busy
    if by == 'a reset':
        executor.cancel()
    executor.submit(job(2, refine=plus_half))
    gate.go.release()
    assert told(wait_for_results(executor, 2)) == [(2, False, 20.0), (2, True, 20.5)]
    assert gate.passed == [] and not executor.busy


def test_a_failure_while_refining_is_a_result_and_the_next_job_runs(executor: Executor) -> None:
    def refine(high: torch.Tensor) -> torch.Tensor:
        checkpoint()
        raise RuntimeError('out of memory')

    for number in (1, 2):
        executor.submit(job(number, refine=refine))
        good, failed = wait_for_results(executor, 2)
        assert told([good]) == [(number, False, 10.0 * number)] and good.error is None
        assert failed.refined and failed.high is None
        assert failed.error == (
            'during flip averaging: RuntimeError: out of memory')


def test_frames_and_jobs_never_use_the_gradient(executor: Executor) -> None:
    seen: list[bool] = []

    def high(low: torch.Tensor) -> torch.Tensor:
        seen.append(torch.is_inference_mode_enabled())
        return low

    executor.submit(job(1, high))
    wait_for_results(executor, 1)
    assert seen == [True]


def test_a_frame_returns_and_raises_what_its_work_does(executor: Executor) -> None:
    def fail() -> str:
        raise KeyboardInterrupt('mine')

    assert executor.run(lambda: 'a frame') == 'a frame'
    with pytest.raises(KeyboardInterrupt, match='mine'):
        executor.run(fail)
    assert executor.run(lambda: 'another') == 'another'


def test_frames_go_on_while_a_job_runs(executor: Executor) -> None:
    frames: list[int] = []
    ended = threading.Event()

    def high(low: torch.Tensor) -> torch.Tensor:
        while not ended.is_set():
            checkpoint()
            threading.Event().wait(0.001)
        return low

    executor.submit(job(1, high))
    for number in range(20):
        executor.run(lambda: frames.append(number))
    assert executor.busy and executor.results(0) == []
    ended.set()
    assert told(wait_for_results(executor, 1)) == [(1, False, 1.0)]
    assert frames == list(range(20))
