# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How many CPUs this process may use: affinity, and the quota of a container."""

import math
import os
import pathlib
from typing import Iterator


def available_cpus(root: pathlib.Path = pathlib.Path('/')) -> int:
    """Return how many threads this process can keep running at a time, 1 or more.

    The smaller of the thread's affinity and of the CPU quotas (cgroup v2 or v1) of its group and
    all above it, rounded up: a container with 1.5 CPUs has 2.

    :param root: folder that proc/ and sys/fs/cgroup/ are looked for in
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') \
        else os.cpu_count() or 1
    return max(1, min([affinity, *map(math.ceil, _quotas(root))]))


def _quotas(root: pathlib.Path) -> Iterator[float]:
    """Yield the limits that there are, in CPUs."""
    try:
        lines = (root / 'proc/self/cgroup').read_text(encoding='utf-8').splitlines()
    except (OSError, ValueError):
        return
    for line in lines:    # such as '0::/user.slice' (v2) or '4:cpu,cpuacct:/docker/1f2e' (v1)
        _, controllers, group = line.split(':', 2)
        if not controllers or 'cpu' in controllers.split(','):
            # In a container the group's name may be the host's, and only its root be there.
            inner = pathlib.PurePosixPath(group.lstrip('/'))
            for folder in (inner, *inner.parents):
                yield from _quota(root / 'sys/fs/cgroup' / controllers / folder)


def _quota(folder: pathlib.Path) -> Iterator[float]:
    """Yield the limit of one group, if it has one: time of all CPUs in a period."""
    try:
        if (folder / 'cpu.max').exists():
            quota, period = (folder / 'cpu.max').read_text(encoding='ascii').split()
        else:
            quota, period = ((folder / f'cpu.cfs_{name}_us').read_text(encoding='ascii')
                             for name in ('quota', 'period'))
        if int(quota) > 0:    # -1, or 'max', is no limit
            yield int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return
