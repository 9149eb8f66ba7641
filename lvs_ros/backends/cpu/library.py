# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Finds the native kernels for this processor, and calls them with tensors."""

import ctypes
import functools
import os
import pathlib
import platform
import warnings
from typing import Optional, Sequence

import torch

import lvs_ros
from lvs_ros.errors import ConfigurationError

VARIABLE = 'LVS_CPU_LEVEL'
"""Environment variable: the instruction set whose kernels are used, or 'none'; for comparison."""

LEVELS = ('amx', 'avx512', 'avx2', 'generic')
"""Instruction sets that the kernels are compiled for, the best first."""

LANES = 8
"""What some kernels want a multiple of as channels."""

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
    'lvs_look_ahead': [_ADDRESS] * 5 + [_NUMBER] * 4 + [ctypes.c_float] + [_NUMBER] * 2,
}
_AMX_ARGUMENTS = {
    'lvs_amx_enable': [],
    'lvs_amx_convolution': _ARGUMENTS['lvs_convolution'],
    'lvs_amx_fusion': _ARGUMENTS['lvs_fusion'],
    'lvs_amx_stem': _ARGUMENTS['lvs_stem'],
}


def kernels() -> Optional[ctypes.CDLL]:
    """Return the native kernels, chosen once a process; None where there are none.

    :raises ConfigurationError: for a level in :data:`VARIABLE` that cannot be used.
    """
    return choose()[1]


def has_amx() -> bool:
    """Tell whether there are kernels that multiply in bfloat16 by AMX."""
    return choose()[0] == 'amx'


@functools.lru_cache(maxsize=None)
def choose() -> tuple[str, Optional[ctypes.CDLL]]:
    """Return the level and its kernels; 'none' and None where torch computes everything.

    ``choose.cache_clear()`` lets it be chosen again.

    :raises ConfigurationError: for a level in :data:`VARIABLE` that cannot be used.
    """
    wanted, supported = os.environ.get(VARIABLE, ''), supported_levels()
    if wanted not in ('', 'none', *supported):
        raise ConfigurationError(f'{VARIABLE} is {wanted!r}: expected none, or an instruction set '
                                 f'of this processor, {", ".join(supported)}')
    best = [level for level in supported if level != 'generic' or not _is_x86()]
    for level in [] if wanted == 'none' else [wanted] if wanted else best:
        try:
            library = _load(level)
        except (OSError, AttributeError) as error:    # broken, or older than this module
            if wanted:
                raise ConfigurationError(
                    f'{VARIABLE} is {wanted!r}, whose kernels cannot be used ({error}): build '
                    'lvs_ros again on this computer, or choose another level') from error
            if not isinstance(error, (FileNotFoundError, PermissionError)):
                warnings.warn(f'native kernels cannot be used, and everything is slower without '
                              f'them: {error}. Build lvs_ros again on this computer')
        else:
            return level, library
    return 'none', None


def _load(level: str) -> ctypes.CDLL:
    """Return the kernels of a level.

    :raises OSError: for a library that was not built, or is none, or where the system forbids AMX.
    :raises AttributeError: for a library that lacks a kernel.
    """
    name = f'backends/cpu/lib/{level}/liblvs_kernels.so'
    path = next((path for folder in lvs_ros.__path__
                 if (path := pathlib.Path(folder, name)).exists()), None)
    if path is None:
        raise FileNotFoundError(f'{name} is missing')
    # torch has loaded its OpenMP already; the kernels find and share it.
    library = ctypes.CDLL(str(path))
    for kernel, arguments in (_ARGUMENTS | (_AMX_ARGUMENTS if level == 'amx' else {})).items():
        getattr(library, kernel).argtypes = arguments
    if level == 'amx' and not library.lvs_amx_enable():
        raise PermissionError('the system does not allow AMX')
    return library


def supported_levels() -> Sequence[str]:
    """Return those of :data:`LEVELS` that this processor has, the best first."""
    if not _is_x86():
        return LEVELS[-1:]
    capability = torch.backends.cpu.get_cpu_capability()
    if capability == 'AVX512':
        return LEVELS if has_amx_instructions() else LEVELS[1:]
    return LEVELS[2:] if capability == 'AVX2' else LEVELS[3:]


def _is_x86() -> bool:
    return platform.machine() in ('x86_64', 'AMD64')


def has_amx_instructions() -> bool:
    """Tell whether the processor multiplies matrices of bfloat16 (AMX), as far as is known."""
    if not hasattr(torch.cpu, 'get_capabilities'):    # an older torch
        return False
    capabilities = torch.cpu.get_capabilities()
    return all(capabilities.get(name, False) for name in ('amx_tile', 'amx_bf16', 'avx512_bf16'))


def native() -> ctypes.CDLL:
    """Return the native kernels where it is known that there are some."""
    library = kernels()
    assert library is not None, 'to be called only where there are native kernels'
    return library


def are_readable(*tensors: torch.Tensor) -> bool:
    """Tell whether they are of the kind that the kernels read: float32, on the CPU."""
    return all(tensor.device.type == 'cpu' and tensor.dtype == torch.float32
               for tensor in tensors)


def channels_last(x: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) in the order in which the kernels read; no copy if it is already."""
    return x.contiguous(memory_format=torch.channels_last)


def pointer(tensor: torch.Tensor, index: int = 0) -> int:
    """Return the address of a tensor that has no gaps, or of one image of a batch.

    The tensor must outlive the call that gets the address.
    """
    return tensor.data_ptr() + index * (tensor.nbytes // tensor.shape[0])
