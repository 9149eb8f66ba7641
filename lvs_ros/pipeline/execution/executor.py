# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Who computes when: the one place that decides how frames and S_h share a computer.

S_h is ordinary code that passes checkpoints (:mod:`lvs_ros.checkpoints`). An executor says what
happens there.
"""

from typing import Callable, Protocol, TypeVar

from lvs_ros.pipeline.execution.job import Job, JobResult

T = TypeVar('T')


class Executor(Protocol):
    """Computes frames, and jobs in the background; used by one thread, that of the pipeline.

    At most one job runs and one waits; a newer job replaces the waiting one. Where no other waits
    after a job, its result is used and refined, until a newer job is submitted.
    """

    description: str      # its kind and its threads, for people
    frame_threads: int    # CPU threads of a frame
    full_threads: int     # the same, of one that is computed in full, with no job beside it

    def run(self, work: Callable[[], T], *, goes_on: bool = False) -> T:
        """Compute for a frame, before everything else; returns, or raises, what that does.

        :param goes_on: it belongs to the frame before: no job has a share of the time in between
        """

    def run_between(self, work: Callable[[], None]) -> None:
        """Do something that frames will profit from, which passes checkpoints: where frames are
        computed, when none waits, and before any job."""

    def submit(self, job: Job) -> None:
        """Compute a job in the background."""

    def results(self, now_ns: int) -> list[JobResult]:
        """Take the results that are there at this stamp, oldest first."""

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits, or its result is refined."""

    @property
    def stalled_s(self) -> float:
        """Seconds since the last checkpoint of a job that runs; 0 without one. For any thread."""

    def wait(self, timeout_s: float) -> None:
        """Wait until no job runs or waits, nor work between frames; at most so long."""

    def cancel(self) -> None:
        """Forget all jobs; their results never come."""

    def close(self) -> None:
        """Stop, cancelling a running job, and restore the settings of the process."""
