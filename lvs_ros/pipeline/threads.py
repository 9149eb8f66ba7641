# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Keeps the slow track out of the fast track's way on a CPU.

Linux gives every thread a scheduling policy and a nice value of its own. The OpenMP team that a
thread starts for torch inherits them, so setting them before the thread's first operation
covers all of its work.
"""

import contextlib
import ctypes
import os
import threading
from typing import Iterator, Sequence

import torch

from lvs_ros.native.library import library

_NICE_VALUE = 10
_MOST_CORES_FOR_TURNS = 3
_OMP_PAUSE_SOFT = 1    # from omp.h


def core_numbers() -> list[int]:
    """Return the cores that this thread may use, as the system counts them; [] = unknown."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else []


def takes_turns(threads: int) -> bool:
    """Tell whether the tracks use all threads in turn, rather than each its own all the time."""
    return threads <= _MOST_CORES_FOR_TURNS


def share_cores(threads: int, *, side_by_side: bool) -> tuple[int, int]:
    """Return the thread counts of fast and slow track.

    :param side_by_side: the tracks run at the same time. Together the two then have as many
        threads as there are, if there are two: a thread of the fast track that waits for
        its core holds up the others of its team, and the frame with them.
    """
    if not side_by_side:
        return threads, threads
    slow = max(1, threads // 2)
    return max(1, threads - slow), slow


@contextlib.contextmanager
def intra_op_threads(count: int) -> Iterator[None]:
    """Let torch use so many threads in this block; 0 = as many as before."""
    before = torch.get_num_threads()
    if count in (0, before):    # setting it would forget what torch keeps for its convolutions
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def leave_computing_to_others() -> None:
    """Let the calling thread compute alone from now on, and end the team that torch made for it.

    OpenMP's threads wait awake for their next work only while a process has no more of them than
    there are cores. A second team, even an idle one, would make those of the first sleep.
    """
    torch.set_num_threads(1)
    try:
        # By this name it is there already: torch has loaded it.
        ctypes.CDLL('libgomp.so.1').omp_pause_resource_all(_OMP_PAUSE_SOFT)
    except (OSError, AttributeError):
        pass    # another OpenMP: its teams sleep a little earlier


def bind_team(numbers: Sequence[int]) -> None:
    """Bind the calling thread, and each other of its team, to a core of its own.

    Left free, two threads of a team often find themselves on the same core when a frame wakes
    them, while the other core has nothing to do; the system mends that after several milliseconds.
    A new thread begins on the cores of the one that starts it, so this is to be called again where
    the team may have changed. Does nothing without the compiled operators.

    :param numbers: one core for each thread of the team, see :func:`core_numbers`
    """
    native = library()
    if native is not None and numbers:
        native.lvs_bind_team((ctypes.c_int * len(numbers))(*numbers), len(numbers))


def team_threads(count: int) -> tuple[int, ...]:
    """Return the threads of the calling thread's team, as the system counts them, itself first.

    Without the compiled operators that is the calling thread alone.

    :param count: size of the team
    """
    native = library()
    if native is None:
        return (threading.get_native_id(),)
    ids = (ctypes.c_int * count)()
    native.lvs_team_threads(ids, count)
    return tuple(number for number in ids if number)


def enter_slow_thread(*, policy: str, threads: int) -> None:
    """Set up the calling thread, and the team it will start, as the slow track.

    :param policy: 'nice' (yields to the fast track), 'idle' (runs only where nothing else wants
        the core: on a machine whose cores are all busy it may stand still, and with it, while it
        holds Python's interpreter lock, everything else) or 'normal'
    :param threads: size of its team
    """
    if policy == 'idle' and hasattr(os, 'sched_setscheduler'):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))   # 0: the calling thread
    elif policy != 'normal' and hasattr(os, 'setpriority'):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE_VALUE)
    torch.set_num_threads(threads)
