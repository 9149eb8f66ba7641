# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Finds the compiled operators for this processor, and calls them with tensors."""

import ctypes
import functools
import os
import pathlib
import platform
import warnings
from typing import Optional

import torch

import lvs_ros

SWITCH = 'LVS_NATIVE'
"""Environment variable: '0' leaves the compiled operators alone, for comparison."""

CHANNELS = 8
"""Channels that the operators take are a multiple of this."""

# By what torch found out about the processor: the best first.
_LEVELS = {'AVX512': ('x86-64-v4', 'x86-64-v3'), 'AVX2': ('x86-64-v3',)}
_X86 = ('x86_64', 'AMD64')


@functools.lru_cache(maxsize=None)
def library() -> Optional[ctypes.CDLL]:
    """Return the compiled operators; None where there are none for this processor."""
    if os.environ.get(SWITCH) == '0':
        return None
    for level in _levels():
        for folder in lvs_ros.__path__:
            path = pathlib.Path(folder, 'native', f'liblvs_native_{level}.so')
            if path.exists():
                return _load(path)
    return None


def _load(path: pathlib.Path) -> Optional[ctypes.CDLL]:
    try:
        # torch has loaded its OpenMP already; the operators find and share it.
        return ctypes.CDLL(str(path))
    except OSError as error:
        warnings.warn(f'the compiled operators cannot be loaded, and everything is slower without '
                      f'them: {error}. Build lvs_ros again on this computer')
        return None


def _levels() -> tuple[str, ...]:
    if platform.machine() not in _X86:
        return ('generic',)
    return _LEVELS.get(torch.backends.cpu.get_cpu_capability(), ())


def takes(*tensors: torch.Tensor) -> bool:
    """Tell whether the operators can work on these: float32, on the CPU, without gradients."""
    return library() is not None and all(
        tensor.device.type == 'cpu' and tensor.dtype == torch.float32
        and not (torch.is_grad_enabled() and tensor.requires_grad) for tensor in tensors)


def pixels_first(x: torch.Tensor) -> torch.Tensor:
    """(C, H, W) → (H, W, C), contiguous: what the operators read. No copy if channels last."""
    return x.permute(1, 2, 0).contiguous()


def pointer(tensor: Optional[torch.Tensor]) -> Optional[ctypes.c_void_p]:
    """Return the address of a contiguous tensor, which must outlive the call; None for None."""
    return None if tensor is None else ctypes.c_void_p(tensor.data_ptr())
