# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""S_h for itself: how long it takes alone, and a load of it that never pauses."""

import math
import time
from typing import Callable

import torch
from torch import nn

from lvs_ros.benchmark.errors import BenchmarkError
from lvs_ros.model import SegmentationNetwork
from lvs_ros.model.steps import Steps
from lvs_ros.pipeline.slow_track import SlowJob, run_job
from lvs_ros.pipeline.threads import intra_op_threads

_MARGIN = 1.5


class RepeatedHigh(SegmentationNetwork):
    """The network with its S_h several times in succession; shares the modules that it is given.

    Where S_h is done before the next frame comes, it would stand idle in between. Repeated, it
    keeps the background busy all the time.
    """

    def __init__(self, network: SegmentationNetwork, rounds: int) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(network.__dict__)
        self._once, self._rounds = network.high_steps, rounds

    @classmethod
    def of(cls, network: SegmentationNetwork, rounds: int) -> SegmentationNetwork:
        """Return the network itself where once is enough."""
        return network if rounds == 1 else cls(network, rounds)

    def high_steps(self, low: torch.Tensor) -> Steps:
        """S_h, as often as it was asked for; the result is that of once."""
        for _ in range(self._rounds - 1):
            yield from self._once(low)
            yield
        return (yield from self._once(low))


def rounds_without_pause(slow_ms: float, interval_ms: float) -> int:
    """Return how often S_h must run for one frame so that it is not done before the next.

    :param slow_ms: of S_h once, alone
    :param interval_ms: from frame to frame
    """
    return max(1, math.ceil(_MARGIN * interval_ms / slow_ms))


@torch.inference_mode()
def count_steps(network: SegmentationNetwork, low: torch.Tensor) -> int:
    """Return into how many steps S_h is cut for (1, C_l, h, w) features."""
    return 1 + sum(1 for _ in network.high_steps(low))


class SlowMeter:
    """Measures S_h with nothing beside it.

    :param network: prepared, on its device
    :param low: (1, C_l, h, w), F_l of a frame
    :param threads: of the slow track on a CPU; 0 on a GPU
    """

    def __init__(self, network: SegmentationNetwork, low: torch.Tensor, *, threads: int) -> None:
        self._network, self._threads = network, threads
        # S_h looks at no image; only its refinement does.
        self._job = SlowJob(0, 0, image=torch.empty(0), low=low, description=None)
        self._durations_ms: list[float] = []

    def measure(self, count: int, progress: Callable[[], object]) -> None:
        """Run it so many times, after one that is not measured."""
        with intra_op_threads(self._threads):
            _run(self._job, self._network)
            for _ in range(count):
                self._durations_ms.append(_run(self._job, self._network))
                progress()

    def durations_ms(self) -> tuple[float, ...]:
        """Return what was measured, milliseconds."""
        return tuple(self._durations_ms)


def _run(job: SlowJob, network: SegmentationNetwork) -> float:
    started = time.perf_counter()
    result = run_job(job, lambda one: network.high_steps(one.low))
    if job.low.device.type == 'cuda':
        torch.cuda.synchronize(job.low.device)
    assert result is not None
    if result.error is not None:
        raise BenchmarkError(f'S_h failed: {result.error}; choose a smaller --size or another '
                             '--device')
    return (time.perf_counter() - started) * 1e3
