# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Keeps the slow track out of the fast track's way on a CPU.

Linux gives every thread a scheduling policy and a nice value of its own. The OpenMP team that a
thread starts for torch inherits them, so setting them before the thread's first operation
covers all of its work.
"""

import os
import threading

import torch

from lvs_ros.errors import ConfigurationError

SLOW_POLICIES = ('nice', 'idle', 'normal')
_NICE_VALUE = 10


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else (
        os.cpu_count() or 1)


def check_policy(policy: str) -> None:
    """Raise :class:`~lvs_ros.errors.ConfigurationError` unless the policy is a known one."""
    if policy not in SLOW_POLICIES:
        raise ConfigurationError(f'slow_policy is {policy!r}: expected one of '
                                 + ', '.join(SLOW_POLICIES))


def enter_slow_thread(*, policy: str, threads: int) -> None:
    """Set up the calling thread, and the team it will start, as the slow track.

    :param policy: 'nice' (yields to the fast track), 'idle' (runs only where nothing else wants
        the core: on a machine whose cores are all busy it may stand still, and with it, while it
        holds Python's interpreter lock, everything else) or 'normal'
    :param threads: size of its team; 0 = half of the cores
    """
    if policy == 'idle' and hasattr(os, 'sched_setscheduler'):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))   # 0: the calling thread
    elif policy != 'normal' and hasattr(os, 'setpriority'):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE_VALUE)
    torch.set_num_threads(threads or max(1, cores() // 2))
