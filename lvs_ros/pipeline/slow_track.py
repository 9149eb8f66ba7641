# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The slow track: S_h beside the frames (paper, section 3.3, low-latency scheduling).

At most one job runs and one waits; a newer job takes the place of the waiting one. A result
carries its job, so whoever takes it knows which key frame it belongs to. Where nothing waits after
a job, the time goes into refining its result: a second one comes for the same key frame.
"""

import abc
import dataclasses
import threading
import time
from typing import Any, Callable, Optional

import torch

from lvs_ros.errors import NotFiniteError
from lvs_ros.model.finite import extremes
from lvs_ros.model.steps import Steps, advance
from lvs_ros.pipeline.gpu_streams import GpuStreams
from lvs_ros.pipeline.lane import Lane
from lvs_ros.pipeline.threads import enter_slow_thread

HighSteps = Callable[[torch.Tensor], Steps]    # S_h: F_l → F_h
RefineSteps = Callable[[torch.Tensor, torch.Tensor], Steps]    # F_h, image → better F_h
NOT_FINITE = 'F_h is not finite'
INTERRUPTIONS = (KeyboardInterrupt, SystemExit)
"""What ends a program: in the thread that computes frames, not the network's to raise."""
_WHILE_REFINING = 'while the mirror image was looked at: '
_WARM_UP_S = 30.0    # at most: where S_h takes longer, its first call costs little beside it


@dataclasses.dataclass(frozen=True)
class SlowJob:
    """Compute S_h of a key frame.

    :param number: counts the frames; identifies the key frame
    :param stamp_ns: stamp of the key frame
    :param image: (1, 3, H, W) uint8 RGB
    :param low: (1, C_l, h, w), its F_l
    :param description: what propagation needs to start from this frame
    """

    number: int
    stamp_ns: int
    image: torch.Tensor
    low: torch.Tensor
    description: Any


@dataclasses.dataclass(frozen=True)
class SlowResult:
    """A finished job: features, or the error that prevented them.

    :param high: (1, C_h, h, w), F_h of the key frame, or None
    :param error: what went wrong, or None
    :param duration_ms: how long it took to compute
    :param refined: the second result of the job
    """

    job: SlowJob
    high: Optional[torch.Tensor]
    error: Optional[str]
    duration_ms: float
    refined: bool = False


Begin = Callable[[SlowJob], Steps]    # of a job, what is computed of it


class SlowTrack(abc.ABC):
    """Runs S_h; used from one thread only, that of the pipeline."""

    @abc.abstractmethod
    def submit(self, job: SlowJob) -> None:
        """Hand a job over; it replaces a job that is still waiting."""

    @abc.abstractmethod
    def poll(self, now_ns: int) -> list[SlowResult]:
        """Take the results that are there at this stamp, oldest first."""

    @property
    @abc.abstractmethod
    def busy(self) -> bool:
        """A job is running or waiting."""

    def warm_up(self, job: SlowJob) -> None:
        """Compute a job that nobody needs, where the first one would meet a first-call cost."""

    @property
    def still_s(self) -> float:
        """Seconds since S_h last began with a step; 0 where it has nothing to do."""
        return 0.0

    @abc.abstractmethod
    def reset(self) -> None:
        """Forget all jobs; their results never come."""

    @abc.abstractmethod
    def close(self) -> None:
        """Stop; a running job is abandoned at its next step."""


class _Abandoned(Exception):
    """Nobody wants the result any more."""


def run_job(job: SlowJob, begin: Begin, *,
            abandoned: Callable[[], bool] = lambda: False,
            lane: Optional[Lane] = None, checks: bool = True,
            fatal: tuple[type[BaseException], ...] = ()) -> Optional[SlowResult]:
    """Compute F_h step by step; None when it was abandoned in between.

    :param begin: returns the steps
    :param lane: where it is computed; None = here
    :param checks: F_h that is not finite is a failure; on a GPU that waits for it
    :param fatal: what is raised; everything else that the network raises is a failure
    """
    started = time.perf_counter()
    features, text = None, None
    steps: Optional[Steps] = None

    @torch.inference_mode()
    def step() -> Optional[torch.Tensor]:
        nonlocal steps
        if abandoned():
            raise _Abandoned
        if steps is None:
            steps = begin(job)
        result = advance(steps)
        if checks and result is not None and not bool(extremes(result).isfinite().all()):
            raise NotFiniteError(NOT_FINITE)
        return result

    try:
        if lane is not None:
            features = lane.steps(step)
        while features is None:
            features = step()
    except _Abandoned:
        return None
    except NotFiniteError as error:
        text = str(error)
    except BaseException as error:  # noqa: B902: whatever it is, the masks must go on
        if isinstance(error, fatal):
            raise
        text = f'{type(error).__name__}: {error}'
    return SlowResult(job, features, text, (time.perf_counter() - started) * 1e3)


def first_pass(high: HighSteps) -> Begin:
    """Return what begins S_h of a job."""
    return lambda job: high(job.low)


def second_pass(refine: RefineSteps, high: torch.Tensor) -> Begin:
    """Return what begins to refine the result of a job."""
    return lambda job: refine(high, job.image)


def as_failed(result: SlowResult, error: str) -> SlowResult:
    """Mark what turned out to be of no use."""
    return dataclasses.replace(
        result, high=None, error=_WHILE_REFINING + error if result.refined else error)


def as_refined(result: SlowResult) -> SlowResult:
    """Mark what a second pass came to."""
    return dataclasses.replace(
        result, refined=True, error=result.error and _WHILE_REFINING + result.error)


def refine_here(result: SlowResult, refine: RefineSteps, *, checks: bool = True) -> SlowResult:
    """Refine a result that has features, in the calling thread; see :func:`run_job`."""
    assert result.high is not None
    refined = run_job(result.job, second_pass(refine, result.high), checks=checks,
                      fatal=INTERRUPTIONS)
    assert refined is not None
    return as_refined(refined)


class InlineSlowTrack(SlowTrack):
    """The deterministic twin: computes at once and hands the result out after a delay.

    The delay is in stamp time, so a replay gives the same masks on any machine. As in the real
    one, a job that comes while another is under way waits for it, and the newest wins.

    :param high: S_h
    :param delay_s: how long S_h takes, and its refinement once more, in stamp time
    :param refine: improves its result; None = nothing does
    """

    def __init__(self, high: HighSteps, *, delay_s: float,
                 refine: Optional[RefineSteps] = None) -> None:
        self._high, self._refine = high, refine
        self._delay_ns = round(delay_s * 1e9)
        self._running: Optional[tuple[SlowJob, int]] = None    # with the stamp of its end
        self._refining: Optional[tuple[SlowResult, int]] = None    # the same
        self._waiting: Optional[SlowJob] = None

    def submit(self, job: SlowJob) -> None:
        """Start the job, or let it wait for the one under way."""
        if self._running is None:
            self._running = (job, job.stamp_ns + self._delay_ns)
            self._refining = None
        else:
            self._waiting = job

    def poll(self, now_ns: int) -> list[SlowResult]:
        """Compute and return the results whose time is up at this stamp."""
        results = []
        while self._running is not None and self._running[1] <= now_ns:
            job, ended_ns = self._running
            result = run_job(job, first_pass(self._high), fatal=INTERRUPTIONS)
            assert result is not None
            results.append(result)
            self._running = None
            if self._waiting is not None:
                self._running = (self._waiting, ended_ns + self._delay_ns)
                self._waiting = None
            elif self._refine is not None and result.high is not None:
                self._refining = (result, ended_ns + self._delay_ns)
        if self._refining is not None and self._refining[1] <= now_ns:
            assert self._refine is not None
            results.append(refine_here(self._refining[0], self._refine))
            self._refining = None
        return results

    @property
    def busy(self) -> bool:
        """A job is under way."""
        return self._running is not None or self._refining is not None

    def reset(self) -> None:
        """Forget all jobs."""
        self._running = self._refining = self._waiting = None

    def close(self) -> None:
        """Forget all jobs."""
        self.reset()


class BackgroundSlowTrack(SlowTrack):
    """One worker thread.

    :param high: S_h
    :param policy: scheduling of the thread, see
        :func:`~lvs_ros.pipeline.threads.enter_slow_thread`
    :param threads: size of its team on a CPU
    :param lane: in which it shares the cores with the frames; None = it runs beside them
    :param streams: of the GPU that it runs on; None = on a CPU
    :param refine: improves the result of a job while no other waits; None = nothing does
    """

    def __init__(self, high: HighSteps, *, policy: str, threads: int, lane: Optional[Lane] = None,
                 streams: Optional[GpuStreams] = None, refine: Optional[RefineSteps] = None
                 ) -> None:
        self._high, self._refine = high, refine
        self._lane, self._streams = lane, streams
        self._condition = threading.Condition()
        self._waiting: Optional[SlowJob] = None
        self._running: Optional[SlowJob] = None
        self._finished: list[SlowResult] = []
        self._closing = False
        self._step_s: Optional[float] = None    # when the last step began; None = no job
        # A daemon, so that even a piece that never returns cannot keep the process alive.
        self._thread = threading.Thread(target=self._work, args=(policy, threads),
                                        name='lvs_slow_track', daemon=True)
        self._thread.start()

    def submit(self, job: SlowJob) -> None:
        """Hand the job to the worker; it replaces the one that still waits."""
        if self._streams is not None:
            self._streams.hand_over(job.image, job.low)
        with self._condition:
            self._waiting = job
            self._condition.notify_all()

    def poll(self, now_ns: int) -> list[SlowResult]:
        """Take what has finished; the stamp does not matter, real time does."""
        with self._condition:
            finished, self._finished = self._finished, []
        return finished

    @property
    def busy(self) -> bool:
        """A job is running or waiting."""
        with self._condition:
            return self._running is not None or self._waiting is not None

    @property
    def still_s(self) -> float:
        """Seconds since the worker last began with a step, of a forgotten job, too."""
        step_s = self._step_s
        return 0.0 if step_s is None else time.monotonic() - step_s

    def warm_up(self, job: SlowJob) -> None:
        """Compute a job, and refine it, in the worker; forget it, and all others."""
        self.submit(job)
        with self._condition:
            self._condition.wait_for(lambda: self._running is None and self._waiting is None,
                                     _WARM_UP_S)
        self.reset()

    def reset(self) -> None:
        """Forget waiting and finished jobs, and abandon the running one."""
        with self._condition:
            self._waiting = self._running = None
            self._finished.clear()

    def close(self, timeout_s: float = 2.0) -> None:
        """Stop the worker; returns at the latest after ``timeout_s``."""
        self.reset()
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        self._thread.join(timeout_s)

    def _work(self, policy: str, threads: int) -> None:
        enter_slow_thread(policy=policy, threads=threads)
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._closing or self._waiting is not None)
                if self._closing:
                    return
                job, self._waiting = self._waiting, None
                self._running = job
            assert job is not None
            self._step_s = time.monotonic()
            self._run_both(job)
            self._step_s = None

    def _run_both(self, job: SlowJob) -> None:
        result = self._run(job, first_pass(self._high), abandoned=lambda: self._running is not job)
        if not self._hand_out(job, result):
            return
        assert self._refine is not None and result is not None and result.high is not None

        refined = self._run(
            job, second_pass(self._refine, result.high),
            abandoned=lambda: self._running is not job or self._waiting is not None)
        self._hand_out(job, refined and as_refined(refined))

    def _hand_out(self, job: SlowJob, result: Optional[SlowResult]) -> bool:
        """Make a result available; tell whether it is to be refined."""
        with self._condition:
            if self._running is not job:    # a reset came in between
                return False
            if result is not None:
                self._finished.append(result)
            is_to_be_refined = (
                self._refine is not None and self._waiting is None and result is not None
                and result.high is not None and not result.refined)
            if not is_to_be_refined:
                self._running = None
                self._condition.notify_all()
            return is_to_be_refined

    def _run(self, job: SlowJob, begin: Begin, *, abandoned: Callable[[], bool]
             ) -> Optional[SlowResult]:
        streams, started = self._streams, time.perf_counter()

        def is_abandoned() -> bool:
            if streams is not None:    # or all would be on their way before anybody could say so
                streams.wait_for_steps()
            self._step_s = time.monotonic()
            return abandoned()

        if streams is None:
            return run_job(job, begin, abandoned=is_abandoned, lane=self._lane)

        with torch.cuda.stream(streams.slow):
            result = run_job(job, begin, abandoned=is_abandoned)
        try:
            streams.hand_back(None if result is None else result.high)
        except RuntimeError as error:
            return SlowResult(job, None, str(error), (time.perf_counter() - started) * 1e3)
        return result and dataclasses.replace(
            result, duration_ms=(time.perf_counter() - started) * 1e3)
