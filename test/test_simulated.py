# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The simulated executor: results enter at stated stamps, whatever the speed."""

import cv2
import pytest
import torch

from lvs_ros.errors import ConfigurationError
from lvs_ros.pipeline.execution import Job, JobResult, SimulatedExecutor


def job(number: int, *, refines: bool = False) -> Job:
    """A job of stamp 100 * number, whose F_h is ten times its number."""
    return Job(number, number * 100, lambda: torch.tensor([number * 10.0]),
               (lambda high: high + 0.5) if refines else None)


def told(results: list[JobResult]) -> list[tuple[int, bool, float]]:
    return [(one.job.key, one.refined, float(one.high)) for one in results
            if one.high is not None]


def test_results_enter_after_their_delay_in_stamp_time() -> None:
    executor = SimulatedExecutor(150e-9)
    executor.submit(job(1))    # stamp 100, done at 250
    executor.submit(job(2))    # waits …
    executor.submit(job(3))    # … and is replaced; runs from 250 to 400
    assert executor.results(249) == [] and executor.busy
    assert told(executor.results(250)) == [(1, False, 10.0)] and executor.busy
    assert executor.results(399) == []
    assert told(executor.results(400)) == [(3, False, 30.0)] and not executor.busy
    executor.close()


def test_refining_takes_as_long_again() -> None:
    executor = SimulatedExecutor(150e-9)
    executor.submit(job(1, refines=True))    # stamp 100, done at 250, refined at 400
    assert told(executor.results(399)) == [(1, False, 10.0)] and executor.busy
    assert told(executor.results(400)) == [(1, True, 10.5)] and not executor.busy
    executor.submit(job(5, refines=True))    # stamp 500
    assert told(executor.results(800)) == [(5, False, 50.0), (5, True, 50.5)]
    executor.close()


def test_refining_is_given_up_for_a_new_job() -> None:
    executor = SimulatedExecutor(150e-9)
    executor.submit(job(1, refines=True))    # stamp 100, done at 250
    assert len(executor.results(250)) == 1
    executor.submit(job(3, refines=True))    # stamp 300, done at 450
    assert executor.results(449) == []
    assert told(executor.results(450)) == [(3, False, 30.0)]
    executor.submit(job(5, refines=True))    # stamp 500, done at 650 …
    executor.submit(job(6, refines=True))    # … where this one begins, which is done at 800
    assert told(executor.results(949)) == [(5, False, 50.0), (6, False, 60.0)]
    assert told(executor.results(950)) == [(6, True, 60.5)]
    executor.close()


def test_cancel_forgets() -> None:
    executor = SimulatedExecutor(150e-9)
    executor.submit(job(1, refines=True))
    assert len(executor.results(250)) == 1
    executor.submit(job(3))
    executor.cancel()
    assert executor.results(10**9) == [] and not executor.busy
    executor.close()


def test_a_failure_is_a_result() -> None:
    def broken() -> torch.Tensor:
        raise RuntimeError('out of memory')

    executor = SimulatedExecutor(0.0)
    executor.submit(Job(1, 0, broken, lambda high: high))
    result, = executor.results(0)
    assert result.high is None and result.error == 'RuntimeError: out of memory'
    assert not executor.busy
    executor.close()


def test_an_interruption_of_the_program_is_none() -> None:
    def interrupted() -> torch.Tensor:
        raise KeyboardInterrupt

    executor = SimulatedExecutor(0.0)
    executor.submit(Job(1, 0, interrupted))
    with pytest.raises(KeyboardInterrupt):
        executor.results(0)
    executor.close()


@pytest.mark.parametrize('delay_s', [-0.1, float('nan'), float('inf')])
def test_a_duration_that_cannot_be_is_refused(delay_s: float) -> None:
    with pytest.raises(ConfigurationError, match='expected 0 or more'):
        SimulatedExecutor(delay_s)


def test_frames_have_the_threads_that_were_asked_for() -> None:
    before = torch.get_num_threads(), cv2.getNumThreads()
    executor = SimulatedExecutor(0.0, threads=3)
    assert executor.run(torch.get_num_threads) == 3
    assert cv2.getNumThreads() == 3
    executor.close()
    assert (torch.get_num_threads(), cv2.getNumThreads()) == before
