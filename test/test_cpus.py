# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How many CPUs a process may use: by its affinity, and by the quotas of cgroups."""

import os
import pathlib
from typing import Mapping

import pytest

from lvs_ros.cpus import available_cpus


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: set(range(8)))


@pytest.mark.parametrize('files, expected', [
    ({}, 8),                                                                  # no /proc
    ({'proc/self/cgroup': '0::/\n'}, 8),                                      # v2, no limit
    ({'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': 'max 100000\n'}, 8),
    ({'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '150000 100000\n'}, 2),
    ({'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '50000 100000\n'}, 1),
    ({'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '1600000 100000\n'}, 8),
    # The limit of a group is also that of the groups in it.
    ({'proc/self/cgroup': '0::/drive.slice/lvs.service\n',
      'sys/fs/cgroup/drive.slice/cpu.max': '300000 100000\n',
      'sys/fs/cgroup/drive.slice/lvs.service/cpu.max': 'max 100000\n'}, 3),
    # A container whose group has the name that it has outside.
    ({'proc/self/cgroup': '0::/docker/1f2e\n', 'sys/fs/cgroup/cpu.max': '200000 100000\n'}, 2),
    # v1
    ({'proc/self/cgroup': '5:memory:/a\n4:cpu,cpuacct:/a\n0::/a\n',
      'sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us': '250000\n',
      'sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us': '100000\n'}, 3),
    ({'proc/self/cgroup': '4:cpu,cpuacct:/docker/1f2e\n',
      'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '150000\n',
      'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000\n'}, 2),
    ({'proc/self/cgroup': '4:cpu:/\n', 'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
      'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n'}, 8),
    # Nothing that can be read: as without.
    ({'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': 'nonsense\n'}, 8),
])
def test_quotas(tmp_path: pathlib.Path, files: Mapping[str, str], expected: int) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding='ascii')
    assert available_cpus(tmp_path) == expected


def test_here_there_is_one_at_least() -> None:
    assert 1 <= available_cpus() <= 8
