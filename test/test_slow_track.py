# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The slow track: one job running, one waiting, results bound to their key frame."""

import os
import threading
import time
from typing import Callable, Optional

import pytest
import torch

from lvs_ros.model.steps import Steps
from lvs_ros.pipeline import threads
from lvs_ros.pipeline.slow_track import (BackgroundSlowTrack, HighSteps, InlineSlowTrack,
                                         RefineSteps, SlowJob, SlowResult)
from lvs_ros.pipeline.lane import Lane


def job(number: int) -> SlowJob:
    return SlowJob(number=number, stamp_ns=number * 100, image=torch.tensor([number + 0.5]),
                   low=torch.tensor([float(number)]), description=None)


def result_value(result: SlowResult) -> float:
    assert result.high is not None
    return float(result.high)


def of_one_step(function: Callable[[torch.Tensor], torch.Tensor]) -> HighSteps:
    def high(low: torch.Tensor) -> Steps:
        return function(low)
        yield
    return high


class Gate:
    """A step of S_h that a test holds up."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.go = threading.Semaphore(0)

    def __call__(self, low: torch.Tensor) -> torch.Tensor:
        self.entered.release()
        assert self.go.acquire(timeout=30)
        return low * 10


def plus_image(high: torch.Tensor, image: torch.Tensor) -> Steps:
    yield
    return high + image


@pytest.fixture(params=['side by side', 'in turns'])
def lane(request: pytest.FixtureRequest) -> Optional[Lane]:
    return Lane() if request.param == 'in turns' else None


def background(high: HighSteps, lane: Optional[Lane], policy: str = 'normal', *,
               refine: Optional[RefineSteps] = None) -> BackgroundSlowTrack:
    return BackgroundSlowTrack(high, policy=policy, threads=1, lane=lane, refine=refine)


def wait_for_results(track: BackgroundSlowTrack, count: int) -> list[SlowResult]:
    results: list[SlowResult] = []
    pause = threading.Event()
    for _ in range(3000):
        results += track.poll(0)
        if len(results) >= count:
            return results
        pause.wait(0.01)
    raise AssertionError(f'{len(results)} of {count} results came')


def test_one_runs_one_waits_and_the_newest_wins(lane: Optional[Lane]) -> None:
    gate = Gate()
    track = background(of_one_step(gate), lane)
    try:
        track.submit(job(1))
        assert gate.entered.acquire(timeout=30)
        for number in (2, 3, 4):
            track.submit(job(number))
        assert track.busy
        gate.go.release()
        gate.go.release()
        results = wait_for_results(track, 2)
        assert [result.job.number for result in results] == [1, 4]
        assert [result_value(result) for result in results] == [10.0, 40.0]
        assert not track.busy
    finally:
        gate.go.release()
        track.close()


def test_an_exception_is_a_result_and_the_next_job_runs(lane: Optional[Lane]) -> None:
    def high(low: torch.Tensor) -> Steps:
        yield
        if float(low) == 1:
            raise RuntimeError('out of memory')
        return low

    track = background(high, lane)
    try:
        track.submit(job(1))
        failed, = wait_for_results(track, 1)
        assert failed.high is None and failed.error == 'RuntimeError: out of memory'
        track.submit(job(2))
        good, = wait_for_results(track, 1)
        assert good.error is None and result_value(good) == 2
    finally:
        track.close()


@pytest.mark.parametrize('error', [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration])
def test_whatever_the_network_raises_is_a_failure(
        lane: Optional[Lane], error: type[BaseException]) -> None:
    def high(low: torch.Tensor) -> Steps:
        if float(low) == 1:
            raise error('enough')
        return of_one_step(lambda low: low)(low)

    track = background(high, lane)
    try:
        track.submit(job(1))
        failed, = wait_for_results(track, 1)
        assert failed.high is None and failed.error == f'{error.__name__}: enough'
        track.submit(job(2))
        good, = wait_for_results(track, 1)
        assert good.error is None and result_value(good) == 2
    finally:
        track.close()


@pytest.mark.parametrize('refines', [False, True])
@pytest.mark.parametrize('value', ['nan', 'inf', '-inf'])
def test_what_is_not_finite_is_a_failure(
        lane: Optional[Lane], value: str, refines: bool) -> None:
    bad = torch.tensor([1.0, float(value), 2.0])

    def refine(high: torch.Tensor, image: torch.Tensor) -> Steps:
        return bad if refines else high
        yield

    track = background(of_one_step(lambda low: low if refines else bad), lane, refine=refine)
    try:
        track.submit(job(1))
        results = wait_for_results(track, 2 if refines else 1)
        assert results[-1].high is None and results[-1].error is not None
        assert results[-1].error.endswith('F_h is not finite')
        assert not refines or results[0].error is None
    finally:
        track.close()


def test_how_long_s_h_has_stood_still(lane: Optional[Lane]) -> None:
    gate = Gate()
    track = background(of_one_step(gate), lane)
    try:
        assert track.still_s == 0.0
        before_s = time.monotonic()
        track.submit(job(1))
        assert gate.entered.acquire(timeout=30)
        threading.Event().wait(0.05)
        assert 0.05 <= track.still_s <= time.monotonic() - before_s
        track.reset()    # it stands still nevertheless
        assert track.still_s >= 0.05
        gate.go.release()
        gate.go.release()
        track.submit(job(2))
        wait_for_results(track, 1)
    finally:
        gate.go.release()
        track.close()
    assert track.still_s == 0.0


def test_a_reset_forgets_the_running_job(lane: Optional[Lane]) -> None:
    gate = Gate()
    reached = []

    def high(low: torch.Tensor) -> Steps:
        low = gate(low)
        yield
        reached.append(float(low))
        return low

    track = background(high, lane)
    try:
        track.submit(job(1))
        assert gate.entered.acquire(timeout=30)
        track.reset()
        assert not track.busy
        track.submit(job(2))
        gate.go.release()
        gate.go.release()
        result, = wait_for_results(track, 1)
        assert result.job.number == 2
        assert track.poll(0) == []
        assert reached == [20.0]
    finally:
        gate.go.release()
        track.close()


def test_a_reset_forgets_a_result_that_nobody_has_taken(lane: Optional[Lane]) -> None:
    track = background(of_one_step(lambda low: low), lane)
    try:
        track.submit(job(1))
        for _ in range(3000):
            if not track.busy:
                break
            threading.Event().wait(0.01)
        assert not track.busy
        track.reset()
        assert track.poll(0) == []
    finally:
        track.close()


def test_close_abandons_a_job_between_two_steps(lane: Optional[Lane]) -> None:
    gate = Gate()
    reached: list[torch.Tensor] = []

    def high(low: torch.Tensor) -> Steps:
        low = gate(low)
        yield
        reached.append(low)
        return low

    track = background(high, lane)
    track.submit(job(1))
    assert gate.entered.acquire(timeout=30)
    closer = threading.Thread(target=track.close)
    closer.start()
    gate.go.release()
    closer.join(30)
    assert not closer.is_alive()
    assert reached == []
    assert 'lvs_slow_track' not in [thread.name for thread in threading.enumerate()]


def test_close_returns_although_a_step_hangs(lane: Optional[Lane]) -> None:
    gate = Gate()
    track = background(of_one_step(gate), lane)
    track.submit(job(1))
    assert gate.entered.acquire(timeout=30)
    track.close(timeout_s=0.05)
    assert not track.busy
    gate.go.release()


def test_a_result_is_refined_where_nothing_waits(lane: Optional[Lane]) -> None:
    track = background(of_one_step(lambda low: low * 10), lane, refine=plus_image)
    try:
        track.submit(job(3))
        first, second = wait_for_results(track, 2)
        assert (first.job.number, first.refined, result_value(first)) == (3, False, 30.0)
        assert (second.job.number, second.refined, result_value(second)) == (3, True, 33.5)
        assert not track.busy
    finally:
        track.close()


def test_a_job_that_waits_comes_before_refining(lane: Optional[Lane]) -> None:
    gate = Gate()
    track = background(of_one_step(gate), lane, refine=plus_image)
    try:
        track.submit(job(1))
        assert gate.entered.acquire(timeout=30)
        track.submit(job(2))
        gate.go.release()
        gate.go.release()
        results = wait_for_results(track, 3)
        assert [(one.job.number, one.refined) for one in results] == [
            (1, False), (2, False), (2, True)]
    finally:
        gate.go.release()
        track.close()


@pytest.mark.parametrize('by', ['a new job', 'a reset'])
def test_refining_is_abandoned(lane: Optional[Lane], by: str) -> None:
    entered, go = threading.Semaphore(0), threading.Semaphore(0)
    reached = []

    def refine(high: torch.Tensor, image: torch.Tensor) -> Steps:
        entered.release()
        assert go.acquire(timeout=30)
        yield
        reached.append(float(image))
        return high + image

    track = background(of_one_step(lambda low: low * 10), lane, refine=refine)
    try:
        track.submit(job(1))
        assert entered.acquire(timeout=30)
        first, = wait_for_results(track, 1)
        assert not first.refined and track.busy
        if by == 'a reset':
            track.reset()
        track.submit(job(2))
        go.release()
        go.release()
        results = wait_for_results(track, 2)
        assert [(one.job.number, one.refined) for one in results] == [(2, False), (2, True)]
        assert reached == [2.5]
    finally:
        go.release()
        track.close()


def test_a_failure_while_refining_is_a_result_and_the_next_job_runs(lane: Optional[Lane]) -> None:
    def refine(high: torch.Tensor, image: torch.Tensor) -> Steps:
        yield
        raise RuntimeError('out of memory')

    track = background(of_one_step(lambda low: low), lane, refine=refine)
    try:
        for number in (1, 2):
            track.submit(job(number))
            good, failed = wait_for_results(track, 2)
            assert result_value(good) == number and good.error is None
            assert failed.refined and failed.high is None
            assert failed.error == (
                'while the mirror image was looked at: RuntimeError: out of memory')
    finally:
        track.close()


def scheduling() -> tuple[bool, int]:
    """Return whether the calling thread gets only what is left over, and its nice value."""
    return (os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK == os.SCHED_IDLE,
            os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))


@pytest.mark.parametrize('policy', ['idle', 'nice', 'normal'])
def test_every_policy_computes_and_gives_way_as_it_says(policy: str) -> None:
    seen = []

    def high(low: torch.Tensor) -> torch.Tensor:
        seen.append(scheduling())
        return low + 1

    track = background(of_one_step(high), None, policy)
    try:
        track.submit(job(7))
        result, = wait_for_results(track, 1)
        assert result_value(result) == 8
    finally:
        track.close()
    usual = scheduling()
    [(is_idle, nice)] = seen
    assert is_idle == (policy == 'idle' or usual[0])
    assert (nice > usual[1]) == (policy == 'nice')


def test_inline_results_come_after_their_delay_in_stamp_time() -> None:
    track = InlineSlowTrack(of_one_step(lambda low: low * 10), delay_s=150e-9)
    track.submit(job(1))                  # stamp 100, done at 250
    track.submit(job(2))                  # waits …
    track.submit(job(3))                  # … and is replaced; runs from 250 to 400
    assert track.poll(249) == [] and track.busy
    first, = track.poll(250)
    assert first.job.number == 1 and result_value(first) == 10 and track.busy
    assert track.poll(399) == []
    second, = track.poll(400)
    assert second.job.number == 3 and not track.busy


def test_inline_refining_takes_as_long_again() -> None:
    track = InlineSlowTrack(of_one_step(lambda low: low * 10), delay_s=150e-9, refine=plus_image)
    track.submit(job(1))                  # stamp 100, done at 250, refined at 400
    first, = track.poll(399)
    assert not first.refined and result_value(first) == 10 and track.busy
    second, = track.poll(400)
    assert second.refined and result_value(second) == 11.5 and not track.busy
    track.submit(job(5))                  # stamp 500
    assert [result_value(one) for one in track.poll(800)] == [50, 55.5]


def test_inline_refining_is_abandoned_for_a_new_job() -> None:
    track = InlineSlowTrack(of_one_step(lambda low: low * 10), delay_s=150e-9, refine=plus_image)
    track.submit(job(1))                  # stamp 100, done at 250
    assert len(track.poll(250)) == 1
    track.submit(job(3))                  # stamp 300, done at 450
    assert track.poll(449) == []
    result, = track.poll(450)
    assert (result.job.number, result.refined) == (3, False)
    track.submit(job(5))                  # stamp 500, done at 650 …
    track.submit(job(6))                  # … where this one waits, which is done at 800
    assert [(one.job.number, one.refined) for one in track.poll(949)] == [(5, False), (6, False)]
    assert [(one.job.number, one.refined) for one in track.poll(950)] == [(6, True)]


def test_inline_reset_forgets() -> None:
    track = InlineSlowTrack(of_one_step(lambda low: low), delay_s=0.0, refine=plus_image)
    track.submit(job(1))
    track.reset()
    assert track.poll(10**9) == [] and not track.busy
    track = InlineSlowTrack(of_one_step(lambda low: low), delay_s=150e-9, refine=plus_image)
    track.submit(job(1))
    assert len(track.poll(250)) == 1
    track.reset()
    assert track.poll(10**9) == [] and not track.busy


@pytest.mark.parametrize('count, expected', [
    (1, (1, 1)), (2, (1, 1)), (3, (2, 1)), (16, (8, 8))])
def test_side_by_side_the_tracks_share_the_threads(count: int, expected: tuple[int, int]) -> None:
    assert threads.share_cores(count, side_by_side=True) == expected


def test_warming_up_computes_and_refines_and_leaves_no_trace(lane: Optional[Lane]) -> None:
    computed = []

    def high(low: torch.Tensor) -> Steps:
        yield
        computed.append(threading.current_thread().name)
        return low

    def refine(high: torch.Tensor, image: torch.Tensor) -> Steps:
        computed.append('refined')
        return high
        yield

    track = background(high, lane, refine=refine)
    try:
        track.warm_up(job(1))
        assert computed == ['lvs_lane' if lane else 'lvs_slow_track', 'refined']
        assert not track.busy and track.poll(0) == []
        track.submit(job(2))
        assert wait_for_results(track, 1)[0].job.number == 2
    finally:
        track.close()
