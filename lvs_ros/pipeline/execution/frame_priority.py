# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A real-time priority for the threads of a frame, over other programs on the same cores.

Linux's default scheduler gives each program an equal share, and a frame that has half of each core
takes two or three times as long. Threads with a real-time priority run before all that have none.
Here the threads of a frame have one while it is computed, and S_h never has.
"""

import contextlib
import os
import threading
import time
import warnings
from typing import Callable, Iterable, Iterator

# Linux stops real-time threads that use more than 95 % of a second for the rest of it. So frames
# have the priority for less than that, unless a single one takes so long.
_MOST_SHARE = 0.8    # of the time
_BURST_S = 0.1       # unused time that is kept: enough for half a second of frame after frame


class FramePriority:
    """Gives threads a real-time priority (SCHED_FIFO), and takes it away again.

    Where that cannot be done there is a warning, and frames go on without. A process that was
    started in a class of its own (``chrt``) is left as it is.

    :param priority: 1 to 99 among real-time threads, the larger before the smaller; 0 = do nothing
    :param clock: tells the time, s
    """

    def __init__(self, priority: int = 0, *,
                 clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._priority = priority if priority and _can_be_given(priority) else 0
        self._credit_s, self._credit_at_s = _BURST_S, clock()

    def __bool__(self) -> bool:
        """Tell whether threads can be raised at all."""
        return self._priority > 0

    @contextlib.contextmanager
    def raised(self, threads: Iterable[int]) -> Iterator[bool]:
        """Raise the threads of a frame in this block, unless frames have had their share.

        :param threads: as the system counts them
        :return: whether they are raised
        """
        if not self or not self._is_affordable():
            yield False
            return
        threads, start_s = list(threads), self._clock()
        try:
            self.give(threads)
            yield True
        finally:
            self.take(threads)
            self._credit_s -= self._clock() - start_s

    def give(self, threads: Iterable[int]) -> None:
        """Raise threads of this process, until :meth:`take`."""
        if self:
            self._schedule(threads, os.SCHED_FIFO, self._priority)

    def take(self, threads: Iterable[int]) -> None:
        """Make threads of this process as all others again."""
        self._schedule(threads, os.SCHED_OTHER, 0)

    def _schedule(self, threads: Iterable[int], policy: int, priority: int) -> None:
        for thread in threads:
            if not os.path.exists(f'/proc/self/task/{thread}'):
                continue    # it has ended, and its number may be that of another program's
            try:
                _set_policy(thread, policy, priority)
            except ProcessLookupError:
                pass
            except OSError as error:    # what was allowed is no more: frames go on without
                if self:
                    _warn(self._priority, error)
                self._priority = 0

    def _is_affordable(self) -> bool:
        now_s = self._clock()
        self._credit_s = min(_BURST_S,
                             self._credit_s + _MOST_SHARE * (now_s - self._credit_at_s))
        self._credit_at_s = now_s
        return self._credit_s > 0


def _set_policy(thread: int, policy: int, priority: int) -> None:
    # What a raised thread starts is not raised. And who has no right to take this flag away has to
    # repeat it.
    os.sched_setscheduler(thread, policy | os.SCHED_RESET_ON_FORK, os.sched_param(priority))


def _can_be_given(priority: int) -> bool:
    """Try it, in a thread that ends then."""
    reasons: list[object] = []

    def attempt() -> None:
        try:
            if os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK != os.SCHED_OTHER:
                reasons.append('the process was started in a class of its own, which it keeps')
            else:
                _set_policy(0, os.SCHED_FIFO, priority)
        except AttributeError:
            reasons.append('only Linux knows it')
        except OSError as error:
            reasons.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    for reason in reasons:
        _warn(priority, reason)
    return not reasons


def _warn(priority: int, reason: object) -> None:
    remedy = 'set realtime_priority to 0'
    if isinstance(reason, PermissionError):
        remedy = (f'allow it by "<user> - rtprio {priority}" in /etc/security/limits.conf, '
                  f'LimitRTPRIO={priority} in a systemd service or --cap-add SYS_NICE in a '
                  f'container, or {remedy}')
    warnings.warn(f'frames get no real-time priority {priority} ({reason}): {remedy}')
