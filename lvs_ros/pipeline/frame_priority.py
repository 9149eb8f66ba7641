# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Puts frames before whatever else wants the cores.

Other programs of a vehicle need the same cores. Linux shares them out fairly, and a frame that
gets half of each core takes twice as long. Threads of a real-time class go before all that have
none. Only those of a frame do here, and only while it is computed: S_h can wait, and the others
must get on.
"""

import contextlib
import os
import time
import warnings
from typing import Callable, Iterable, Iterator

# Linux steps in where real-time threads leave less than a twentieth of a second to others: it
# stops them for all of that. So frames leave more, and never go first for most of a second.
_MOST_SHARE = 0.8    # of the time
_BURST_S = 0.1       # saved up in a break: frame after frame, that lasts for half a second


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
        self.give(threads)
        try:
            yield True
        finally:
            self.take(threads)
            self._credit_s -= self._clock() - start_s

    def give(self, threads: Iterable[int]) -> None:
        """Raise threads, until :meth:`take`."""
        _schedule(threads, os.SCHED_FIFO, self._priority)

    def take(self, threads: Iterable[int]) -> None:
        """Make threads as all others again."""
        _schedule(threads, os.SCHED_OTHER, 0)

    def _is_affordable(self) -> bool:
        now_s = self._clock()
        self._credit_s = min(_BURST_S,
                             self._credit_s + _MOST_SHARE * (now_s - self._credit_at_s))
        self._credit_at_s = now_s
        return self._credit_s > 0


def _schedule(threads: Iterable[int], policy: int, priority: int) -> None:
    for thread in threads:
        with contextlib.suppress(ProcessLookupError):    # it has ended meanwhile
            # What a raised thread starts is not raised. And who has no right to take this flag
            # away has to repeat it.
            os.sched_setscheduler(thread, policy | os.SCHED_RESET_ON_FORK,
                                  os.sched_param(priority))


def _can_be_given(priority: int) -> bool:
    """Try it on the calling thread."""
    try:
        if os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK != os.SCHED_OTHER:
            return False
        _schedule([0], os.SCHED_FIFO, priority)
        _schedule([0], os.SCHED_OTHER, 0)
    except (AttributeError, OSError) as error:
        reason = 'only Linux knows it' if isinstance(error, AttributeError) else error
        warnings.warn(
            f'frames get no real-time priority {priority} ({reason}): on Linux, allow it by '
            f'"<user> - rtprio {priority}" in /etc/security/limits.conf, in a container by '
            '--cap-add SYS_NICE, or set realtime_priority to 0', stacklevel=2)
        return False
    return True
