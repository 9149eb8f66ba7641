# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The GPU's kernel: on a GPU where there is one, else by Triton's interpreter on the CPU."""

import os
import pathlib
import subprocess
import sys
import warnings
from typing import Any, Callable, Iterator

import pytest
import torch

pytest.importorskip('triton', reason='triton is not installed')
DEVICE = torch.device('cuda' if torch.cuda.is_available() else 'cpu')


@pytest.fixture(scope='module')
def gpu() -> Iterator[Any]:
    """Give the module, which chooses between GPU and interpreter when it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        if DEVICE.type == 'cpu':
            patch.setenv('TRITON_INTERPRET', '1')
        from lvs_ros.backends.cuda import spatially_variant_convolution
        yield spatially_variant_convolution


def problem(batch: int, channels: int, height: int, width: int, side: int,
            dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(height)
    features = torch.randn(batch, channels, height, width, generator=generator)
    kernels = torch.randn(batch, side * side, height, width, generator=generator).softmax(1)
    return features.to(DEVICE, dtype), kernels.to(DEVICE, dtype)


def in_float64(features: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    """The equation, a tap at a time, in the precision of the inputs."""
    side = round(kernels.shape[1] ** 0.5)
    height, width = features.shape[2:]
    padded = torch.nn.functional.pad(features.double().cpu(), (side // 2,) * 4)
    result = torch.zeros(features.shape, dtype=torch.float64)
    for tap, weights in enumerate(kernels.double().cpu().unbind(1)):
        top, left = side - 1 - tap // side, side - 1 - tap % side    # reads (i - u, j - v)
        result += weights[:, None] * padded[:, :, top:top + height, left:left + width]
    return result


@pytest.mark.parametrize('batch, channels, height, width, side', [
    (1, 128, 4, 33, 9),
    (2, 40, 11, 16, 9),     # channels that fill no block; lines above and below; one block wide
    (1, 64, 2, 3, 5),       # smaller than the kernels
    (1, 80, 3, 40, 19),     # a kernel that sees more than 32 positions
    (3, 16, 1, 1, 1),
])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])
def test_it_is_the_equation(gpu: Any, batch: int, channels: int, height: int, width: int,
                            side: int, dtype: torch.dtype) -> None:
    features, kernels = problem(batch, channels, height, width, side, dtype)
    result = gpu.convolve(features, kernels)
    assert result.shape == features.shape and result.dtype == dtype
    assert result.is_contiguous(memory_format=torch.channels_last)
    expected = in_float64(features, kernels)
    # 16 bits are rounded once, at the end; float32 may be after each addition.
    roundings = {torch.float16: 1, torch.float32: 8}[dtype]
    tolerance = roundings * torch.finfo(dtype).eps * expected.abs().clamp(min=1)
    assert ((result.cpu().double() - expected).abs() <= tolerance).all()


def test_the_layout_does_not_matter(gpu: Any) -> None:
    features, kernels = problem(2, 32, 3, 5, 3, torch.float32)
    expected = gpu.convolve(features, kernels)
    assert torch.equal(gpu.convolve(features.to(memory_format=torch.channels_last), kernels),
                       expected)
    assert torch.equal(gpu.convolve(features.flip(3).flip(3), kernels.mT.contiguous().mT),
                       expected)


def test_it_is_used_where_it_computes_what_it_should(gpu: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert gpu.can_be_used(DEVICE, torch.float16, 64, 9)


def fails(features: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    raise RuntimeError('Failed to find C compiler')


def is_wrong(features: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    return in_float64(features, kernels.flip(1)).to(features)


@pytest.mark.parametrize('operator, reason', [
    (fails, 'RuntimeError: Failed to find C compiler'), (is_wrong, 'its results are .* off')])
def test_it_is_done_without_where_it_cannot_be_used(
        gpu: Any, monkeypatch: pytest.MonkeyPatch, reason: str,
        operator: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
    monkeypatch.setattr(gpu, 'convolve', operator)
    with pytest.warns(UserWarning, match=reason):
        assert not gpu.can_be_used(DEVICE, torch.float16, 16, 9)


COMPILE = """
import sys
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from lvs_ros.backends.cuda.spatially_variant_convolution import _kernel, _sizes
sizes = _sizes(128, 9)
for argument in sys.argv[1:]:
    capability, dtype = argument.split('-')
    signature = {name: '*' + dtype for name in ('features', 'kernels', 'result')}
    signature |= {'height': 'i32', 'width': 'i32'} | {name: 'constexpr' for name in sizes}
    compiled = triton.compile(ASTSource(fn=_kernel, signature=signature, constexprs=sizes),
                              target=GPUTarget('cuda', int(capability), 32))
    assert len(compiled.asm['cubin']) > 1000
    print(argument, 'multiplies matrices' if 'mma' in compiled.asm['ptx'] else 'multiplies')
"""


def test_it_compiles(tmp_path: pathlib.Path) -> None:
    # Turing, Ampere, Orin, Hopper
    done = subprocess.run(
        [sys.executable, '-c', COMPILE, '75-fp16', '80-fp16', '87-fp16', '90-fp16', '90-fp32'],
        capture_output=True, text=True, timeout=300,
        env=os.environ | {'TRITON_INTERPRET': '0', 'TRITON_CACHE_DIR': str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        '75-fp16 multiplies', '80-fp16 multiplies matrices', '87-fp16 multiplies matrices',
        '90-fp16 multiplies matrices', '90-fp32 multiplies']
