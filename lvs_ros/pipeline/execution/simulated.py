# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""S_h with a simulated duration: the same masks on every machine."""

from typing import Callable, Optional, TypeVar

from lvs_ros.cpus import available_cpus
from lvs_ros.errors import ConfigurationError
from lvs_ros.pipeline.execution.job import INTERRUPTIONS, Job, JobResult, compute, refine, use
from lvs_ros.pipeline.execution.process_settings import ProcessSettings
from lvs_ros.pipeline.threads import intra_op_threads

T = TypeVar('T')


class SimulatedExecutor:
    """Computes everything in the calling thread; the results of jobs enter after a stated time.

    The time is that of the stamps, so that a replay gives the same masks at any speed. As with the
    other executors, a job that comes while another runs waits for it, and the newest wins.

    :param delay_s: how long S_h takes, and refining its result once more, in stamp time
    :param threads: CPU threads; 0 = as many as there are cores
    """

    def __init__(self, delay_s: float, *, threads: int = 0) -> None:
        if not 0 <= delay_s < float('inf'):
            raise ConfigurationError(f'the simulated duration of S_h is {delay_s} s: expected 0 '
                                     'or more')
        self._delay_ns = round(delay_s * 1e9)
        self.frame_threads = self.full_threads = threads or available_cpus()
        self.description = f'S_h simulated: {delay_s:g} s, {self.frame_threads} threads'
        self._running: Optional[tuple[Job, int]] = None    # with the stamp of its end
        self._refining: Optional[tuple[JobResult, int]] = None    # the same
        self._waiting: Optional[Job] = None
        self._settings = ProcessSettings(opencv_threads=self.frame_threads)

    def run(self, work: Callable[[], T], *, goes_on: bool = False) -> T:
        """Compute for a frame, here and now."""
        with intra_op_threads(self.frame_threads):
            return work()

    def run_between(self, work: Callable[[], None]) -> None:
        """Do it here and now."""
        self.run(work)

    def submit(self, job: Job) -> None:
        """Start a job at its stamp, or when the running one ends."""
        if self._running is None:
            self._running = (job, job.stamp_ns + self._delay_ns)
            self._refining = None
        else:
            self._waiting = job

    def results(self, now_ns: int) -> list[JobResult]:
        """Compute and return the results whose time has come at this stamp, oldest first."""
        results = []
        while self._running is not None and self._running[1] <= now_ns:
            job, end_ns = self._running
            result = compute(job, fatal=INTERRUPTIONS)
            results.append(result)
            self._running = None
            if self._waiting is not None:
                self._running = (self._waiting, end_ns + self._delay_ns)
                self._waiting = None
            else:
                results += use(result, fatal=INTERRUPTIONS)
                if job.refine is not None and result.high is not None:
                    self._refining = (result, end_ns + self._delay_ns)
        if self._refining is not None and self._refining[1] <= now_ns:
            result = refine(self._refining[0], fatal=INTERRUPTIONS)
            results += [result, *use(result, fatal=INTERRUPTIONS)]
            self._refining = None
        return results

    @property
    def busy(self) -> bool:
        """Whether a job runs, or its result is refined."""
        return self._running is not None or self._refining is not None

    @property
    def stalled_s(self) -> float:
        """Always 0: a job runs only while its results are asked for."""
        return 0.0

    def wait(self, timeout_s: float) -> None:
        """Do nothing: what the next frame needs has no first-call cost left."""

    def cancel(self) -> None:
        """Forget all jobs."""
        self._running = self._refining = self._waiting = None

    def close(self) -> None:
        """Forget all jobs, and restore the settings of the process."""
        self.cancel()
        self._settings.close()
