# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""One thread for frames and S_h: where cores are few, and on a GPU.

Two threads that compute at a time hold each other up there: each has too few cores of its own, or
waits for a core that the other one is on. Here one thread, and the team that torch starts for it,
computes a frame or a piece of S_h on all cores. At a checkpoint of S_h a waiting frame is computed
right there, so that a frame waits for one piece at most; or, where frame follows frame without a
pause, for pieces of a tenth of the time that the last frame took.
"""

import collections
import contextlib
import threading
import time
from concurrent.futures import CancelledError, Future
from typing import Any, Callable, ContextManager, Optional, Sequence, TypeVar

import torch

from lvs_ros.checkpoints import checkpoints
from lvs_ros.pipeline.execution.background import BackgroundExecutor
from lvs_ros.pipeline.execution.frame_priority import FramePriority
from lvs_ros.pipeline.execution.job import Cancelled
from lvs_ros.pipeline.execution.process_settings import ProcessSettings
from lvs_ros.pipeline.threads import bind_team, end_team, team_threads

T = TypeVar('T')

_JOB_SHARE = 0.1    # of the time that frames take, which S_h gets even where they never pause
# At most, until the thread that waits for a frame has taken it: one that wakes up while all cores
# compute may not get one of them for some milliseconds.
_HAND_OVER_S = 0.005


class _Frame:
    """A frame that is wanted, and what becomes of it."""

    def __init__(self, work: Callable[[], Any], is_raised: bool, goes_on: bool) -> None:
        self.work, self.is_raised, self.goes_on = work, is_raised, goes_on
        self.future: Future[Any] = Future()

    def compute(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self.work())
        except BaseException as error:  # noqa: B902: it is the caller's
            self.future.set_exception(error)
            # Or the traceback would keep all of this until the next garbage collection.
            self = None  # type: ignore[assignment]


class TimeSlicedExecutor(BackgroundExecutor):
    """Computes frames, and pieces of S_h between them, in one thread.

    :param threads: CPU threads of both; 0 = as torch has it, for a GPU
    :param cores: one for each thread, as the system numbers them; () = where the system puts them
    :param priority: of frames over other programs, from the moment on that one is wanted; S_h has
        none. None = neither have frames
    :param wait_for_device: called at each checkpoint; a GPU's waits until all pieces but the last
        have been computed. On a CPU there is nothing to wait for, the default
    :param context: what the worker computes in, such as a stream of a GPU
    :param clock: tells the time, s
    """

    def __init__(self, *, threads: int = 0, cores: Sequence[int] = (),
                 priority: Optional[FramePriority] = None,
                 wait_for_device: Callable[[], None] = lambda: None,
                 context: Callable[[], ContextManager[None]] = contextlib.nullcontext,
                 clock: Callable[[], float] = time.perf_counter) -> None:
        self.frame_threads = self.full_threads = threads or torch.get_num_threads()
        self.description = f'time-sliced, {threads} threads' if threads else 'time-sliced'
        self._threads, self._cores = threads, cores
        self._priority = priority or FramePriority()
        self._wait_for_device, self._context, self._clock = wait_for_device, context, clock
        self._between: collections.deque[Callable[[], None]] = collections.deque()
        self._frame: Optional[_Frame] = None    # that waits
        self._computing: Optional[_Frame] = None
        self._awaited: Optional[_Frame] = None    # whose thread has not taken it yet
        self._team: tuple[int, ...] = ()    # the threads that computed the last frame
        self._team_is_raised = False
        self._owed_s = 0.0    # to S_h since the last frame
        self._since_s = 0.0    # when S_h last went on
        # A second team, even an idle one, would make the threads of the worker's sleep.
        super().__init__(ProcessSettings(torch_threads=1, opencv_threads=1) if threads
                         else ProcessSettings())
        if threads:
            end_team()
        self._thread.start()

    def run(self, work: Callable[[], T], *, goes_on: bool = False) -> T:
        """Compute for a frame in the worker; returns, or raises, what that does."""
        # The calling thread first: the team would keep it from telling what it wants.
        with self._priority.raised([threading.get_native_id()]) as is_raised:
            frame = _Frame(work, is_raised, goes_on)
            with self._changed:
                self._frame = self._awaited = frame
                if self._closed:
                    frame.future.cancel()
                self._raise_team()    # a piece that runs shall be done soon, too
                self._changed.notify_all()
            try:
                return frame.future.result()
            except CancelledError:    # closed meanwhile
                return work()
            finally:
                frame.future.cancel()    # if interrupted
                with self._changed:
                    self._awaited = None
                    self._changed.notify_all()
                del frame, work    # or an error's traceback would keep them

    def run_between(self, work: Callable[[], None]) -> None:
        """Do something in the worker, when no frame waits and before any job."""
        with self._changed:
            self._between.append(work)
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> None:
        """Wait until nothing but a frame may run or wait; at most so long."""
        with self._changed:
            self._changed.wait_for(lambda: not self._between or self._closed, timeout_s)
        super().wait(timeout_s)

    def close(self, timeout_s: float = 2.0) -> None:
        """Stop; a frame that has not begun is computed by the thread that wants it."""
        with self._changed:
            self._closed = True
            if self._frame is not None:
                self._frame.future.cancel()
        super().close(timeout_s)

    # The worker.

    def _work(self) -> None:
        if self._threads:
            torch.set_num_threads(self._threads)
        with self._context():
            while self._work_once():
                pass

    def _work_once(self) -> bool:
        """Wait for something to do, and do it; False = closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._frame is not None
                                   or self._waiting is not None or bool(self._between))
            if self._closed:
                return False
            frame_first = self._frame is not None and (
                self._waiting is None or self._frame_may_go())
        if frame_first:
            self._run_frame()
        elif self._between:
            self._run_between()
        else:
            self._since_s = self._clock()
            with checkpoints(self._checkpoint):
                self._run_job()
            self._pay()
        return True

    def _run_between(self) -> None:
        with contextlib.suppress(Cancelled), checkpoints(self._checkpoint_between):
            self._between[0]()
        with self._changed:    # only now: whoever waits shall find it done
            self._between.popleft()
            self._changed.notify_all()

    def _checkpoint_between(self) -> None:
        self._wait_for_device()
        if self._closed:
            raise Cancelled
        if self._frame is not None:
            with checkpoints(None):
                self._run_frame()

    def _checkpoint(self) -> None:
        self._wait_for_device()
        self._check()
        self._pay()
        if self._frame_may_go() and not self._closed:
            with checkpoints(None):
                self._run_frame()
            self._check()

    def _frame_may_go(self) -> bool:
        """Whether a frame waits, and S_h has had its share since the one before."""
        frame = self._frame
        return frame is not None and (self._owed_s <= 0 or frame.goes_on)

    def _pay(self) -> None:
        """Count the time since S_h last went on as its share."""
        now_s = self._clock()
        self._owed_s -= now_s - self._since_s
        self._since_s = now_s

    def _run_frame(self) -> None:
        start_s = self._clock()
        self._arrange_team()    # every time, some microseconds: it may be a new one
        with self._changed:
            frame, self._frame = self._frame, None
            self._computing = frame
        if frame is not None:
            frame.compute()
        now_s = self._clock()
        share_s = _JOB_SHARE * (now_s - start_s)
        goes_on = frame is not None and frame.goes_on
        self._owed_s, self._since_s = share_s + (self._owed_s if goes_on else 0.0), now_s
        with self._changed:
            self._computing = None
            self._raise_team()
            self._changed.wait_for(
                lambda: self._awaited is not frame or self._closed, _HAND_OVER_S)
        frame = None    # which the traceback of an error would keep

    def _raise_team(self) -> None:
        """Raise it while a frame of priority waits or is computed; else make it as others are."""
        frame = self._frame or self._computing
        wanted = frame is not None and frame.is_raised and not self._closed
        if wanted != self._team_is_raised:
            self._team_is_raised = wanted
            (self._priority.give if wanted else self._priority.take)(self._team)

    def _arrange_team(self) -> None:
        bind_team(self._cores)
        if not self._priority:
            return
        team = team_threads(self.frame_threads)
        with self._changed:
            if team != self._team:
                before, self._team = self._team, team
                self._priority.take(set(before) - set(team))
                if self._team_is_raised:
                    self._priority.give(team)
