# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The spatially variant convolution against the usual way to write it, and against memory."""

import dataclasses
import statistics
import time
from typing import Callable

import psutil
import torch
from torch.nn import functional

from lvs_ros.benchmark.progress import progress
from lvs_ros.model import spatially_variant_convolution

PAPER_SHAPE = (256, 64, 128, 9)
"""Channels, height, width and H_K of F_h and kernels of a 1024x512 image."""

_COPY_BYTES = 256 << 20    # far more than any cache
_BUDGET_S = 2.0            # for one way of computing it
_FEWEST, _MOST = 2, 100


@dataclasses.dataclass(frozen=True)
class OperatorTimes:
    """One shape of the operator.

    :param channels: C of the features, (1, C, height, width)
    :param kernel_size: H_K
    :param ours_ms: median duration of
        :func:`~lvs_ros.model.spatially_variant_convolution.spatially_variant_convolution`
    :param unfold_einsum_ms: of :func:`unfold_einsum`; None: there is no memory for it
    :param bytes: that must be moved at least: features and kernels once in, the result once out
    :param bound_ms: how long that takes
    :param largest_difference: between the two results, where the features are of order 1
    """

    channels: int
    height: int
    width: int
    kernel_size: int
    dtype: str
    ours_ms: float
    unfold_einsum_ms: float | None
    bytes: int
    bound_ms: float
    largest_difference: float | None

    @property
    def speed_up(self) -> float | None:
        """How many times as fast ours is."""
        return None if self.unfold_einsum_ms is None else self.unfold_einsum_ms / self.ours_ms

    @property
    def bound_fraction(self) -> float:
        """The bound over what was measured: 1 is as fast as the memory allows."""
        return self.bound_ms / self.ours_ms


def unfold_einsum(features: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    """The operator as it is usually written: all H_K² shifted copies, then a weighted sum.

    :param features: (B, C, h, w) float
    :param kernels: (B, K², h, w) float, see
        :func:`~lvs_ros.model.spatially_variant_convolution.spatially_variant_convolution`
    """
    batch, channels, height, width = features.shape
    taps = kernels.shape[1]
    copies = functional.unfold(features, round(taps ** 0.5), padding=round(taps ** 0.5) // 2)
    # unfold reads position i + u where the operator reads i - u
    return torch.einsum('bckhw,bkhw->bchw',
                        copies.view(batch, channels, taps, height, width), kernels.flip(1))


def measure_bandwidth(device: torch.device) -> float:
    """Return bytes a second that a large copy reads and writes."""
    count = min(_COPY_BYTES, _free_bytes(device) // 8) // 4
    source = torch.ones(count, device=device)
    target = torch.empty_like(source)
    _, duration_ms = _timed(lambda: target.copy_(source), device)
    return 2 * 4 * count / (duration_ms / 1e3)


@torch.inference_mode()
def measure_operator(shape: tuple[int, int, int, int], *, device: torch.device,
                     dtype: torch.dtype, bandwidth: float) -> OperatorTimes:
    """Time both ways on random features.

    :param shape: channels, height, width, H_K
    :param bandwidth: bytes a second, see :func:`measure_bandwidth`
    """
    channels, height, width, side = shape
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, channels, height, width, generator=generator)
    kernels = torch.randn(1, side * side, height, width, generator=generator).softmax(1)
    features, kernels = features.to(device, dtype), kernels.to(device, dtype)
    # each way gets the layout that it likes; the network's own is channels last
    ours = tuple(x.to(memory_format=torch.channels_last) for x in (features, kernels))
    moved = 2 * features.nbytes + kernels.nbytes
    with progress(f'operator, {channels} channels of {width}x{height}', 2) as update:
        result, ours_ms = _timed(lambda: spatially_variant_convolution(*ours), device)
        update()
        usual_ms, difference = None, None
        if 3 * side * side * features.nbytes < _free_bytes(device):
            usual, usual_ms = _timed(lambda: unfold_einsum(features, kernels), device)
            difference = float((result - usual).abs().max())
        update()
    return OperatorTimes(
        channels, height, width, side, str(dtype).removeprefix('torch.'), ours_ms, usual_ms,
        moved, moved / bandwidth * 1e3, difference)


def _timed(compute: Callable[[], torch.Tensor], device: torch.device
           ) -> tuple[torch.Tensor, float]:
    """Return the result and the median of the durations, milliseconds; the first is left out."""
    durations_ms: list[float] = []
    result = compute()
    _wait_for(device)
    while len(durations_ms) < _MOST and (
            len(durations_ms) < _FEWEST or sum(durations_ms) < 1e3 * _BUDGET_S):
        started = time.perf_counter()
        result = compute()
        _wait_for(device)
        durations_ms.append((time.perf_counter() - started) * 1e3)
    return result, statistics.median(durations_ms)


def _wait_for(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def _free_bytes(device: torch.device) -> int:
    if device.type == 'cuda':
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available
