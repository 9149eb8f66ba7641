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
"""What Winograd, the spatially variant convolution and warping want a multiple of."""

# By what torch found out about the processor: the best first.
_LEVELS = {'AVX512': ('x86-64-v4', 'x86-64-v3'), 'AVX2': ('x86-64-v3',)}
_TILES_LEVEL = 'x86-64-v4-amx'
_TILES_NEED = ('amx_tile', 'amx_bf16', 'avx512_bf16')
_ADDRESS, _NUMBER = ctypes.c_void_p, ctypes.c_int
_ARGUMENTS = {
    'lvs_bind_team': [_ADDRESS, _NUMBER],
    'lvs_team_threads': [_ADDRESS, _NUMBER],
    'lvs_panel': [],
    'lvs_winograd_blocks': [_NUMBER] * 3,
    'lvs_winograd': [_ADDRESS] * 5 + [_NUMBER] * 9,
    'lvs_convolution': [_ADDRESS] * 5 + [_NUMBER] * 12,
    'lvs_fusion': [_ADDRESS] * 9 + [_NUMBER] * 5,
    'lvs_stem': [_ADDRESS] * 6 + [_NUMBER] * 8,
    'lvs_spatially_variant_convolution': [_ADDRESS] * 3 + [_NUMBER] * 5,
    'lvs_linear_of_mean': [_ADDRESS] * 4 + [_NUMBER] * 2,
    'lvs_warp': [_ADDRESS] * 3 + [_NUMBER] * 4,
    'lvs_label_map': [_ADDRESS] * 2 + [_NUMBER] * 5 + [ctypes.c_float] * 3 + [_NUMBER],
    'lvs_grey': [_ADDRESS] * 2 + [_NUMBER] * 7,
    'lvs_inverse_search': [_ADDRESS] * 3 + [_NUMBER] * 5,
    'lvs_enable_tiles': [],
}
_TILES_ARGUMENTS = {
    'lvs_tile_block': [_ADDRESS] * 6 + [_NUMBER] * 6,
    'lvs_tile_convolution': _ARGUMENTS['lvs_convolution'],
    'lvs_tile_fusion': _ARGUMENTS['lvs_fusion'],
    'lvs_tile_stem': _ARGUMENTS['lvs_stem'],
}
_X86 = ('x86_64', 'AMD64')


@functools.lru_cache(maxsize=None)
def library() -> Optional[ctypes.CDLL]:
    """Return the compiled operators; None where there are none for this processor."""
    if os.environ.get(SWITCH) == '0':
        return None
    for level in _levels():
        for folder in lvs_ros.__path__:
            path = pathlib.Path(folder, 'native', f'liblvs_native_{level}.so')
            if path.exists() and (operators := _load(path)) is not None:
                return operators
    return None


def _load(path: pathlib.Path) -> Optional[ctypes.CDLL]:
    try:
        # torch has loaded its OpenMP already; the operators find and share it.
        operators = ctypes.CDLL(str(path))
        tiles = _TILES_ARGUMENTS if path.stem.endswith(_TILES_LEVEL) else {}
        for name, arguments in (_ARGUMENTS | tiles).items():
            getattr(operators, name).argtypes = arguments
    except (OSError, AttributeError) as error:    # broken, or older than this module
        warnings.warn(f'the compiled operators cannot be loaded, and everything is slower without '
                      f'them: {error}. Build lvs_ros again on this computer')
        return None
    return operators


def _levels() -> tuple[str, ...]:
    if platform.machine() not in _X86:
        return ('generic',)
    capability = torch.backends.cpu.get_cpu_capability()
    levels = _LEVELS.get(capability, ())
    return (_TILES_LEVEL, *levels) if capability == 'AVX512' and has_tile_instructions() \
        else levels


def has_tile_instructions() -> bool:
    """Tell whether the processor multiplies matrices of bfloat16 (AMX), as far as is known."""
    if not hasattr(torch.cpu, 'get_capabilities'):    # an older torch
        return False
    capabilities = torch.cpu.get_capabilities()
    return all(capabilities.get(name, False) for name in _TILES_NEED)


@functools.lru_cache(maxsize=None)
def has_tiles() -> bool:
    """Tell whether the operators that multiply in bfloat16 can be called in this process."""
    native = library()
    return (native is not None and hasattr(native, 'lvs_tile_convolution')
            and bool(native.lvs_enable_tiles()))


def operators() -> ctypes.CDLL:
    """Return the compiled operators where it is known that there are some."""
    native = library()
    assert native is not None, 'to be called only where there are operators'
    return native


def is_readable(tensor: torch.Tensor) -> bool:
    """Tell whether it is of the kind that the operators read: float32, on the CPU."""
    return tensor.device.type == 'cpu' and tensor.dtype == torch.float32


def takes(*tensors: torch.Tensor) -> bool:
    """Tell whether the operators can work on these: readable, without gradients."""
    return library() is not None and all(
        is_readable(tensor) and not (torch.is_grad_enabled() and tensor.requires_grad)
        for tensor in tensors)


def channels_last(x: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) in the order in which the operators read; no copy if it is already."""
    return x.contiguous(memory_format=torch.channels_last)


def pointer(tensor: torch.Tensor, index: int = 0) -> int:
    """Return the address of a tensor that has no gaps, or of one image of a batch.

    The tensor must outlive the call that gets the address.
    """
    return tensor.data_ptr() + index * (tensor.nbytes // tensor.shape[0])
