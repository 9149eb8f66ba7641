# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Lets the two tracks use all of a small CPU in turn.

Where cores are few, two tracks at a time are in each other's way: each has too few cores of its
own, or its threads wait for cores that the other's are on. Here one thread, and the team that
torch starts for it, computes for both: a frame, or a step of S_h, on all cores. S_h gives way
after every step, so that a frame waits for one step at most; or, where frame follows frame
without a pause, for steps of a tenth of the time that the last one took. And the next step waits
until whoever wanted the frame has got it: a thread that wakes up while all cores compute may not
get one of them for some milliseconds. Where the lane has nothing to do, it rehearses before a
frame that it expects.
"""

import dataclasses
import math
import threading
import time
from typing import Any, Callable, Generic, Iterator, Optional, Sequence, TypeVar

import torch

from lvs_ros.pipeline.frame_priority import FramePriority
from lvs_ros.pipeline.rehearsal import Rehearsal
from lvs_ros.pipeline.threads import bind_team, intra_op_threads, team_threads

T = TypeVar('T')

_HAND_OVER_S = 0.005    # at most, for the thread may be held up for other reasons
_STEPS_SHARE = 0.1    # of the time that frames take, which S_h gets even where they never pause


@dataclasses.dataclass
class _Call(Generic[T]):
    """A function that somebody waits for, and what became of it.

    :param step: it is to be called again, until it returns something
    :param changed: tells the one who waits for it
    :param arrival_s: when it was wanted
    :param left: nobody waits for it any more
    :param raised: it is a frame that goes before other programs
    """

    function: Callable[[], Optional[T]]
    threads: int
    step: bool
    changed: threading.Condition
    arrival_s: float
    running: bool = False
    done: bool = False
    left: bool = False
    raised: bool = False
    result: Any = None
    error: Optional[BaseException] = None

    def run(self) -> bool:
        """Call the function once; tell whether that was all."""
        try:
            with intra_op_threads(self.threads):
                self.result = self.function()
        except BaseException as error:  # noqa: B902: it is the caller's
            self.error = error
        return not self.step or self.result is not None or self.error is not None

    def outcome(self) -> T:
        error, self.error = self.error, None
        if error is None:
            return self.result
        try:
            raise error
        finally:
            del error    # or this call and what it computed with would stay until the next search


class Lane:
    """A thread that computes for one thread with frames and one with S_h; frames come first.

    A frame that waits goes before the next step; but after every frame S_h is owed a share of the
    time that it took, so that S_h gets on even where frame follows frame without a pause.

    :param frame_threads: size of the team for frames, 0 = as torch has it
    :param step_threads: the same for steps
    :param bound_to: core of each thread of a team, which is of one size then; () = where the
        system puts them
    :param priority: that frames have over other programs, from the moment on that one is wanted;
        steps have none. None = neither have frames
    :param clock: tells the time, s
    """

    def __init__(self, *, frame_threads: int = 0, step_threads: int = 0,
                 bound_to: Sequence[int] = (), priority: Optional[FramePriority] = None,
                 clock: Callable[[], float] = time.perf_counter) -> None:
        self._frame_threads, self._step_threads = frame_threads, step_threads
        self._bound_to = bound_to
        self._priority = priority or FramePriority()
        self._team: tuple[int, ...] = ()    # the threads that computed the last frame
        self._team_is_raised = False
        self._clock = clock
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)    # for the lane's own thread
        self._frame: Optional[_Call] = None     # that waits
        self._steps: Optional[_Call] = None
        self._owed_s = 0.0    # to S_h since the last frame
        self._rehearsal: Optional[Rehearsal] = None
        self._closed = False
        # A daemon, so that even a step that never returns cannot keep the process alive.
        self._thread = threading.Thread(target=self._work, name='lvs_lane', daemon=True)
        self._thread.start()

    @property
    def frame_threads(self) -> int:
        """Size of the team for frames, 0 = as torch has it."""
        return self._frame_threads

    def frame(self, function: Callable[[], T]) -> T:
        """Compute for a frame; returns, or raises, what the function does."""
        call = _Call(function, self._frame_threads, False, threading.Condition(self._lock),
                     self._clock())
        # The calling thread first: the team would keep it from telling what it wants.
        with self._priority.raised([threading.get_native_id()]) as is_raised:
            call.raised = is_raised
            with self._lock:
                self._frame = call
                self._raise_team()    # a step that runs shall be done soon, too
            return self._wait_for(call)

    def steps(self, function: Callable[[], Optional[T]]) -> T:
        """Compute S_h: call the function again and again, with frames in between.

        :return: the first that is not None; what the function raises is raised here.
        """
        call = _Call(function, self._step_threads, True, threading.Condition(self._lock),
                     self._clock())
        with self._lock:
            self._steps = call
        return self._wait_for(call)

    def rehearse(self, begin: Callable[[], Iterator[None]]) -> None:
        """Do some of what a frame needs before each that can be expected.

        :param begin: see :class:`~lvs_ros.pipeline.rehearsal.Rehearsal`
        """
        with self._lock:
            self._rehearsal = Rehearsal(begin, clock=self._clock)

    def close(self, timeout_s: float = 2.0) -> None:
        """Let everybody go: what has not begun by now is run by the thread that wants it.

        Returns when the lane's own thread has ended, at the latest after ``timeout_s``: where
        Python ends while it computes, it is thrown out of it, which C++ answers with an abort.
        """
        with self._lock:
            self._closed = True
            self._changed.notify()
            for call in (self._frame, self._steps):
                if call is not None:
                    call.changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)

    def _wait_for(self, call: _Call[T]) -> T:
        with self._lock:
            self._changed.notify()
            try:
                call.changed.wait_for(lambda: call.done or self._closed and not call.running)
            finally:    # interrupted, perhaps: nobody wants it any more
                self._forget(call)
                call.left = True
                self._changed.notify()
        while not call.done:
            call.done = call.run()
        return call.outcome()

    def _raise_team(self) -> None:
        """Raise it while a frame of priority waits or is computed; else make it as others are."""
        wanted = self._frame is not None and self._frame.raised and not self._closed
        if wanted != self._team_is_raised:
            self._team_is_raised = wanted
            (self._priority.give if wanted else self._priority.take)(self._team)

    def _forget(self, call: _Call) -> None:
        if self._frame is call:
            self._frame = None
        if self._steps is call:
            self._steps = None

    def _work(self) -> None:
        if self._frame_threads:
            torch.set_num_threads(self._frame_threads)
        while True:
            with self._lock:
                self._raise_team()    # or no more
                while not self._closed and self._frame is None and self._steps is None \
                        and self._rehearsal_in_s() > 0:
                    self._changed.wait(min(self._rehearsal_in_s(), threading.TIMEOUT_MAX))
                if self._closed:
                    return
                call, rehearsal = self._next(), self._rehearsal
                if call is not None:
                    call.running = True
            if call is not None:
                self._compute(call, rehearsal)
                call = None    # what it computed with need not stay until the next one
            elif rehearsal is not None:
                rehearsal.step()

    def _compute(self, call: _Call, rehearsal: Optional[Rehearsal]) -> None:
        start_s = self._clock()
        if not call.step:
            self._arrange_team()    # every time, some microseconds: it may be a new one
        done = call.run()
        duration_s = self._clock() - start_s
        with self._lock:
            call.running, call.done = False, done
            self._owed_s = (self._owed_s - duration_s if call.step
                            else _STEPS_SHARE * duration_s)
            if done:
                self._forget(call)
            if done or self._closed:
                call.changed.notify()
            if not call.step:
                if rehearsal is not None:
                    rehearsal.note_frame(call.arrival_s)
                self._changed.wait_for(lambda: call.left or self._closed, _HAND_OVER_S)

    def _arrange_team(self) -> None:
        bind_team(self._bound_to)
        if not self._priority:
            return
        team = team_threads(self._frame_threads or torch.get_num_threads())
        with self._lock:
            if team != self._team:
                before, self._team = self._team, team
                self._priority.take(set(before) - set(team))
                if self._team_is_raised:
                    self._priority.give(team)

    def _next(self) -> Optional[_Call]:
        """Return what is to be computed now; None = nothing but a step of the rehearsal."""
        steps, frame = self._steps, self._frame
        if steps is not None and (frame is None or self._owed_s > 0):
            return steps
        return frame

    def _rehearsal_in_s(self) -> float:
        return math.inf if self._rehearsal is None else self._rehearsal.due_in_s()
