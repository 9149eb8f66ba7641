# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""S_h of a key frame as a job, and what comes out of it."""

import dataclasses
import time
from typing import Any, Callable, Optional

import torch

from lvs_ros.errors import NotFiniteError
from lvs_ros.model.finite import extremes

NOT_FINITE = 'F_h is not finite'
INTERRUPTIONS = (KeyboardInterrupt, SystemExit)
"""What ends a program: in the thread that computes frames, not the network's to raise."""


class Cancelled(BaseException):
    """Raised by a checkpoint: the result of the job is not needed any more.

    No ``Exception``, so that no handler inside a network takes it for a failure.
    """


@dataclasses.dataclass(frozen=True)
class Job:
    """Compute S_h of a key frame.

    :param key: whatever identifies the key frame to the one who submits the job
    :param stamp_ns: stamp of the key frame
    :param compute: returns F_h, (1, C_h, h, w)
    :param refine: F_h → better F_h, computed after it unless another job waits; None = nothing
        improves it
    :param use: told each F_h, in the worker, where no newer job waits; None = nothing is done
        with it
    """

    key: Any
    stamp_ns: int
    compute: Callable[[], torch.Tensor]
    refine: Optional[Callable[[torch.Tensor], torch.Tensor]] = None
    use: Optional[Callable[[torch.Tensor], None]] = None


@dataclasses.dataclass(frozen=True)
class JobResult:
    """Features, or the error that prevented them.

    :param high: (1, C_h, h, w), F_h of the key frame, or None
    :param error: what went wrong, or None
    :param duration_ms: how long it took to compute
    :param refined: the result of ``refine``
    """

    job: Job
    high: Optional[torch.Tensor]
    error: Optional[str]
    duration_ms: float
    refined: bool = False

    def as_failed(self, error: str) -> 'JobResult':
        """Return the result of a job whose features turned out to be of no use."""
        return dataclasses.replace(self, high=None, error=_explained(error, self.refined))


def compute(job: Job, *, checks: bool = True, fatal: tuple[type[BaseException], ...] = ()
            ) -> JobResult:
    """Compute F_h of a job in the calling thread.

    :param checks: F_h that is not finite is a failure; on a GPU that waits for it
    :param fatal: what is raised; everything else that the network raises is a failure
    :raises Cancelled: at a checkpoint
    """
    return _attempt(job, job.compute, checks, fatal, refined=False)


def refine(result: JobResult, *, checks: bool = True, fatal: tuple[type[BaseException], ...] = ()
           ) -> JobResult:
    """Refine a result that has features; see :func:`compute`."""
    assert result.job.refine is not None and result.high is not None
    function, high = result.job.refine, result.high
    return _attempt(result.job, lambda: function(high), checks, fatal, refined=True)


def use(result: JobResult, *, fatal: tuple[type[BaseException], ...] = ()) -> list[JobResult]:
    """Let a job use a result that has features; return the failure, if it was one."""
    function, high = result.job.use, result.high
    if function is None or high is None:
        return []

    def used() -> torch.Tensor:
        function(high)
        return high

    attempt = _attempt(result.job, used, False, fatal, refined=result.refined)
    return [attempt] if attempt.error is not None else []


@torch.inference_mode()
def _attempt(job: Job, function: Callable[[], torch.Tensor], checks: bool,
             fatal: tuple[type[BaseException], ...], *, refined: bool) -> JobResult:
    start_s = time.perf_counter()
    high, error = None, None
    try:
        high = function()
        if checks and not bool(extremes(high).isfinite().all()):
            raise NotFiniteError(NOT_FINITE)
    except Cancelled:
        raise
    except NotFiniteError as problem:
        high, error = None, str(problem)
    except BaseException as problem:  # noqa: B902: whatever it is, the masks must go on
        if isinstance(problem, fatal):
            raise
        error = f'{type(problem).__name__}: {problem}'
    return JobResult(job, high, error and _explained(error, refined),
                     (time.perf_counter() - start_s) * 1e3, refined)


def _explained(error: str, refined: bool) -> str:
    return f'during flip averaging: {error}' if refined else error
