# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The GPU's kernels are compiled for several generations of GPUs; that needs none of them."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

pytest.importorskip('triton', reason='triton is not installed')

TURING, AMPERE, ORIN, HOPPER = 75, 80, 87, 90
SHARED_BYTES = 48 * 1024    # of shared memory, that every GPU gives to a block of threads

COMPILE = """
import importlib, json, sys
import torch, triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from lvs_ros.backends.cuda.spatially_variant_convolution import block_sizes
TYPES = {'fp16': torch.float16, 'bf16': torch.bfloat16, 'fp32': torch.float32}
results = []
for module, name, capability, types, constants in json.loads(sys.argv[1]):
    kernel = getattr(importlib.import_module('lvs_ros.backends.cuda.' + module), name)
    if name == 'convolution_kernel':
        constants = block_sizes(*constants, TYPES[types[0][1:]],
                                multiplies_matrices=capability >= 80)
    options = {'num_warps': constants.pop('num_warps', 4)}
    names = [name for name in kernel.arg_names if name not in constants]
    signature = dict(zip(names, types, strict=True)) | {name: 'constexpr' for name in constants}
    aligned = {(index,): [['tt.divisibility', 16]] for index, kind in enumerate(types)
               if kind.startswith('*')}
    compiled = triton.compile(
        ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=aligned),
        target=GPUTarget('cuda', capability, 32), options=options)
    results.append((len(compiled.asm['cubin']), compiled.metadata.shared,
                    'mma' in compiled.asm['ptx']))
print(json.dumps(results))
"""


def compiled(cache: pathlib.Path, kernels: list[tuple[object, ...]]
             ) -> list[tuple[int, int, bool]]:
    """Compile kernels in a process that does not interpret them.

    :param kernels: module, name, compute capability, types of the arguments, constants
    :return: of each, bytes of machine code, bytes of shared memory, whether it multiplies matrices
    """
    done = subprocess.run(
        [sys.executable, '-c', COMPILE, json.dumps(kernels)], capture_output=True, text=True,
        timeout=300, env=os.environ | {'TRITON_INTERPRET': '0', 'TRITON_CACHE_DIR': str(cache)})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def convolution(capability: int, dtype: str, channels: int, side: int) -> tuple[object, ...]:
    return ('spatially_variant_convolution', 'convolution_kernel', capability,
            ['*' + dtype] * 3 + ['i32'] * 2, (channels, side))


def test_the_spatially_variant_convolution(tmp_path: pathlib.Path) -> None:
    kernels = [convolution(TURING, 'fp16', 128, 9), convolution(ORIN, 'fp16', 512, 9),
               convolution(HOPPER, 'bf16', 24, 31), convolution(HOPPER, 'fp32', 128, 9)]
    results = compiled(tmp_path, kernels)
    assert all(code > 1000 and shared <= SHARED_BYTES for code, shared, _ in results)
    assert [multiplies for *_, multiplies in results] == [False, True, True, False]


def test_the_other_kernels(tmp_path: pathlib.Path) -> None:
    kernels: list[tuple[object, ...]] = []
    for capability, dtype in ((TURING, 'fp32'), (HOPPER, 'bf16')):
        labels = [f'*{dtype}', '*u8', '*u8', *['i32'] * 4, *['fp32'] * 3]
        sizes = {'CLASSES': 19, 'WANT_CONFIDENCE': dtype != 'fp32', 'ROWS': 8, 'COLUMNS': 32}
        kernels += [
            ('label_map', 'label_kernel', capability, labels, sizes),
            ('warp', 'warp_kernel', capability, [f'*{dtype}', '*fp32', f'*{dtype}', 'i32', 'i32'],
             {'CHANNELS': 512, 'POSITIONS': 16, 'BLOCK': 64}),
            ('normalisation', 'normalisation_kernel', capability,
             ['*u8', f'*{dtype}', 'i32', *['fp32'] * 6], {'VALUES': 1024})]
    results = compiled(tmp_path, kernels)
    assert all(code > 1000 and shared <= SHARED_BYTES for code, shared, _ in results)
