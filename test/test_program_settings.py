# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What programs set in their process, and what importing the package leaves alone."""

import gc
import platform
import resource
import subprocess
import sys

import pytest

from lvs_ros.program_settings import keep_freed_memory, uncollected

PAGE_BYTES = resource.getpagesize()
SIZE_BYTES = 8 << 20


def faults_of_using_memory() -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    kept = [bytearray(SIZE_BYTES) for _ in range(5)]    # cleared, so every page is touched
    assert len(kept) == 5
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='only glibc can be told')
def test_the_second_use_of_memory_meets_no_page_faults() -> None:
    keep_freed_memory()
    faults_of_using_memory()
    assert faults_of_using_memory() < SIZE_BYTES // PAGE_BYTES    # of 5 times as many pages


def test_what_is_there_is_uncollected_for_a_while() -> None:
    kept: list[list[int]] = [[]]
    with uncollected():
        assert gc.get_freeze_count() > 0
        assert not any(thing is kept for thing in gc.get_objects())
    assert gc.get_freeze_count() == 0
    assert any(thing is kept for thing in gc.get_objects())


def test_importing_the_package_sets_nothing() -> None:
    code = """
import gc, os, threading

def found():
    return (dict(os.environ), gc.get_freeze_count(), threading.active_count(),
            os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0))

before = found()
import lvs_ros.labels
assert found() == before
"""
    subprocess.run([sys.executable, '-c', code], check=True, timeout=60)
