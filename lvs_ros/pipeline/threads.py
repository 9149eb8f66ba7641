# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""CPU threads: how many torch uses, which cores they keep to, what the system calls them."""

import contextlib
import ctypes
import os
import threading
from typing import Iterator, Sequence

import torch

from lvs_ros.backends.cpu.library import kernels

_OMP_PAUSE_SOFT = 1    # from omp.h


def core_numbers() -> list[int]:
    """Return the cores that this thread may use, as the system counts them; [] = unknown."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else []


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


def end_team() -> None:
    """End the threads that torch has started for the calling one; it starts others when needed.

    OpenMP's threads wait actively for their next work only while a process has no more of them
    than there are cores.
    """
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
    the team may have changed. Does nothing without the native kernels.

    :param numbers: one core for each thread of the team, see :func:`core_numbers`
    """
    native = kernels()
    if native is not None and numbers:
        native.lvs_bind_team((ctypes.c_int * len(numbers))(*numbers), len(numbers))


def team_threads(count: int) -> tuple[int, ...]:
    """Return the threads of the calling thread's team, as the system counts them, itself first.

    Without the native kernels that is the calling thread alone.

    :param count: size of the team
    """
    native = kernels()
    if native is None:
        return (threading.get_native_id(),)
    ids = (ctypes.c_int * count)()
    native.lvs_team_threads(ids, count)
    return tuple(number for number in ids if number)
