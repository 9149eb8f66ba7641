# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A worker thread with a job that waits, one that runs, and results that have not been taken."""

import abc
import threading
import time
from typing import Optional

from lvs_ros.pipeline.execution.job import Cancelled, Job, JobResult, compute, refine, use
from lvs_ros.pipeline.execution.process_settings import ProcessSettings


class BackgroundExecutor(abc.ABC):
    """What the executors with a worker have in common; the worker itself is the subclass's.

    :param settings: of the process, restored by :meth:`close`
    """

    def __init__(self, settings: ProcessSettings) -> None:
        self._settings = settings
        self._changed = threading.Condition()
        self._closed = False
        self._waiting: Optional[Job] = None
        self._running: Optional[Job] = None    # None, too, where the running one was cancelled
        self._results: list[JobResult] = []
        self._job: Optional[Job] = None    # the worker's own note of the one it computes
        self._refining = False
        self._progress_s: Optional[float] = None    # time of the job's last checkpoint
        # A daemon, so that even a piece that never returns cannot keep the process alive.
        self._thread = threading.Thread(target=self._work, name='lvs_worker', daemon=True)

    def submit(self, job: Job) -> None:
        """Compute a job in the worker; it replaces one that still waits."""
        with self._changed:
            self._waiting = job
            self._changed.notify_all()

    def results(self, now_ns: int) -> list[JobResult]:
        """Take the results that have come; the stamp does not matter, real time does."""
        with self._changed:
            results, self._results = self._results, []
        return results

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits, or its result is refined."""
        with self._changed:
            return self._running is not None or self._waiting is not None

    @property
    def stalled_s(self) -> float:
        """Seconds since the last checkpoint of a job that runs, cancelled or not; 0 without one.

        May be read by any thread.
        """
        progress_s = self._progress_s
        return 0.0 if progress_s is None else time.monotonic() - progress_s

    def wait(self, timeout_s: float) -> None:
        """Wait until no job runs or waits; at most so long."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._running is None and self._waiting is None, timeout_s)

    def cancel(self) -> None:
        """Forget all jobs and results; the running job ends at its next checkpoint."""
        with self._changed:
            self._waiting = self._running = None
            self._results.clear()
            self._changed.notify_all()

    def close(self, timeout_s: float = 2.0) -> None:
        """Stop, cancelling a running job, and restore the settings of the process.

        Returns when the worker has ended, at the latest after ``timeout_s``: a thread that still
        computes while Python ends would abort the process.
        """
        self.cancel()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)
        self._settings.close()

    # The worker.

    @abc.abstractmethod
    def _work(self) -> None:
        """Run jobs until closed."""

    def _run_job(self) -> None:
        """Compute the job that waits; use and refine its result where no other waits then.

        At its checkpoints, :meth:`_check` is to be called.
        """
        with self._changed:
            job, self._waiting = self._waiting, None
            self._running = self._job = job
        if job is None:    # cancelled meanwhile
            return
        self._refining, self._progress_s = False, time.monotonic()
        try:
            result = compute(job)
            goes_on = self._put(result)
            self._refining = True    # what follows ends for a job that comes
            while goes_on:
                self._add(use(result))
                if job.refine is None or result.refined:
                    break
                result = refine(result)
                goes_on = self._put(result)
            with self._changed:
                if self._running is job:
                    self._running = None
                    self._changed.notify_all()
        except Cancelled:
            with self._changed:
                if self._running is job:    # given up for the one that waits
                    self._running = None
                self._changed.notify_all()
        self._job = self._progress_s = None

    def _check(self) -> None:
        """Note that the job has come to a checkpoint.

        :raises Cancelled: when its result is not needed any more.
        """
        self._progress_s = time.monotonic()
        if self._running is not self._job or self._refining and self._waiting is not None:
            raise Cancelled

    def _put(self, result: JobResult) -> bool:
        """Hand a result out; tell whether it is to be used or refined."""
        job = result.job
        goes_on = result.high is not None and (
            job.use is not None or job.refine is not None and not result.refined)
        with self._changed:
            if self._running is not self._job:
                raise Cancelled
            self._results.append(result)
            if self._waiting is not None or not goes_on:
                self._running, goes_on = None, False
                self._changed.notify_all()
        return goes_on

    def _add(self, failures: list[JobResult]) -> None:
        with self._changed:
            if self._running is self._job:
                self._results += failures
