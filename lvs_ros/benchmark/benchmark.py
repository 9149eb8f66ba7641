# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""One benchmark: both tracks, stages, operators, memory and the way over DDS."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Callable, Iterator, Sequence

import torch

from lvs_ros.benchmark.bench import CpuThreads, make_bench
from lvs_ros.benchmark.clip import Clip
from lvs_ros.benchmark.errors import BenchmarkError
from lvs_ros.benchmark.machine import Memory, cores_in_use, describe_device
from lvs_ros.benchmark.operators import (PAPER_SHAPE, OperatorTimes, measure_bandwidth,
                                         measure_operator)
from lvs_ros.benchmark.plan import Plan
from lvs_ros.benchmark.stages import Messages
from lvs_ros.benchmark.tracks import Track
from lvs_ros.errors import LvsError
from lvs_ros.evaluation.clock import Clock
from lvs_ros.pipeline.build import choose_device, choose_precision
from lvs_ros.pipeline.threads import intra_op_threads

if TYPE_CHECKING:
    from lvs_ros.benchmark.over_dds import OverDds


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """What was measured.

    :param device: name of processor or GPU
    :param precision: of the network, see :func:`~lvs_ros.pipeline.build.choose_precision`
    :param busy_cores: that other programs used before anything was measured
    :param tracks: see :class:`~lvs_ros.benchmark.bench.Bench`
    :param slow_rounds: how often S_h ran for each of its durations in the contended tracks
    :param slow_alone_ms: of S_h with nothing beside it
    :param stages_ms: see :data:`~lvs_ros.benchmark.stages.STAGES`
    :param bandwidth: bytes a second of a large copy
    :param operators: the spatially variant convolution, in the model's shape and the paper's
    :param over_dds: None = not measured
    :param left_out: what was not measured, and why, in sentences
    """

    plan: Plan
    clip: Clip
    device: str
    precision: str
    threads: CpuThreads
    busy_cores: float
    tracks: dict[str, Track]
    slow_rounds: dict[str, int]
    slow_alone_ms: tuple[float, ...]
    stages_ms: dict[str, float]
    bandwidth: float
    operators: tuple[OperatorTimes, ...]
    memory: Memory
    over_dds: OverDds | None
    left_out: tuple[str, ...]

    def slow_ms(self, name: str) -> tuple[float, ...]:
        """Return the durations of S_h during a track, as if it ran once a job."""
        rounds = self.slow_rounds.get(name, 1)
        return tuple(value / rounds for value in self.tracks[name].slow_ms)


def run_benchmark(plan: Plan, clip: Clip, clock: Clock, *,
                  measure_dds: Callable[[], OverDds] | None = None,
                  messages: Messages | None = None, left_out: Sequence[str] = ()) -> Benchmark:
    """Measure everything.

    :param measure_dds: measures the way over DDS; None = leave it out
    :param messages: images as ROS messages; None = the stages without them
    :param left_out: what cannot be measured, and why, in sentences
    :raises LvsError: for an option or a model that cannot work, or too little memory.
    """
    plan.check()
    device = choose_device(plan.options.device)
    busy_cores = cores_in_use()
    with _memory_suffices():
        bench = make_bench(plan, clip, clock, device=device, messages=messages)
        bench.run(plan)
        tracks = {name: meter.track() for name, meter in bench.tracks.items()}
        with intra_op_threads(bench.cpu_threads.fast):
            bandwidth = measure_bandwidth(device)
            operators = tuple(
                measure_operator(shape, device=device, dtype=bench.dtype, bandwidth=bandwidth)
                for shape in (bench.operator_shape, PAPER_SHAPE))
    over_dds = None
    if measure_dds is not None:
        try:
            over_dds = measure_dds()
        except LvsError as error:    # the rest has been measured, and shall be told
            left_out = [*left_out, f'The way over DDS could not be measured: {error}']
    return Benchmark(
        plan=plan, clip=clip, device=describe_device(str(device)),
        precision=choose_precision(plan.options.precision, device), threads=bench.cpu_threads,
        busy_cores=busy_cores, tracks=tracks, slow_rounds=bench.slow_rounds,
        slow_alone_ms=bench.slow.durations_ms(), stages_ms=bench.stages.stages_ms(),
        bandwidth=bandwidth, operators=operators, memory=bench.memory,
        over_dds=over_dds, left_out=tuple(left_out))


@contextlib.contextmanager
def _memory_suffices() -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise BenchmarkError(f'the GPU has too little memory ({str(error).splitlines()[0]}): '
                             'choose a smaller --size, or --precision float16') from error
