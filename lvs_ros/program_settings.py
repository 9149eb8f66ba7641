# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Settings of a whole process that the programs of lvs_ros make, and importing it never does."""

import contextlib
import ctypes
import gc
import os
import platform
from typing import Iterator

# From glibc's malloc.h, and the largest values that it takes.
_M_TRIM_THRESHOLD, _MOST_TRIM_BYTES = -1, (1 << 31) - 1
_M_MMAP_THRESHOLD, _MOST_MMAP_BYTES = -3, 32 << 20


def prepare_process() -> None:
    """Make the settings of a program; to be called before torch is imported."""
    limit_spinning()
    keep_freed_memory()


def limit_spinning() -> None:
    """Let the OpenMP threads of torch wait actively for as long as the next operation may take.

    By default they do so for milliseconds: with other programs on the same cores, they hold those
    up. If they never did, every operation of a network would begin with waking them up. Does
    nothing where the environment says how they wait.
    """
    if not {'OMP_WAIT_POLICY', 'GOMP_SPINCOUNT'} & os.environ.keys():
        os.environ['OMP_WAIT_POLICY'] = 'active'
        os.environ['GOMP_SPINCOUNT'] = '20000'    # about a third of a millisecond


def keep_freed_memory() -> None:
    """Tell the C library not to give memory back to the system whenever a tensor is freed.

    Every frame needs as much as the one before. Where the library gives it back in between, the
    system hands out each page again, cleared: over 2000 page faults a frame at 480x360. The
    process stays as large as it once was. This cannot be undone, so only programs do it. Does
    nothing where the C library is not glibc.
    """
    if platform.libc_ver()[0] != 'glibc':
        return
    library = ctypes.CDLL(None)
    library.mallopt(_M_TRIM_THRESHOLD, _MOST_TRIM_BYTES)
    library.mallopt(_M_MMAP_THRESHOLD, _MOST_MMAP_BYTES)


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Keep the objects that exist by now from Python's garbage collector in this block.

    To look through them all takes a tenth of a second, and one frame would have to wait for it.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
