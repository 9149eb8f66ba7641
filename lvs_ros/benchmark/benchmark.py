# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""One benchmark: full network and fast track, memory and the way over DDS."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import resource
from typing import Any, Iterator, Mapping, Sequence

import numpy as np
import torch

from lvs_ros.backends.prepare import choose_device, choose_precision, prepare
from lvs_ros.benchmark.busy_executor import BusyExecutor
from lvs_ros.benchmark.over_dds import OverDds, measure_over_dds
from lvs_ros.benchmark.plan import Plan
from lvs_ros.benchmark.rows import RowResult, measure_rows
from lvs_ros.errors import LvsError
from lvs_ros.evaluation.clock import RealClock
from lvs_ros.evaluation.evaluation import machine_name
from lvs_ros.model import SegmentationNetwork, load_network
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.build import assemble
from lvs_ros.pipeline.execution import Executor, SimulatedExecutor, choose_executor
from lvs_ros.pipeline.pipeline import SegmentationPipeline
from lvs_ros.program_settings import uncollected


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """What was measured.

    :param images: what the images are of: 'the synthetic street', or the name of a recording
    :param size: (width, height) of the images, pixels
    :param machine: name of processor or GPU
    :param precision: of the network, see :func:`~lvs_ros.backends.prepare.choose_precision`
    :param rows: see :data:`~lvs_ros.benchmark.rows.ROWS`
    :param peak_rss_bytes: the process at its largest, loading the model included
    :param peak_device_bytes: tensors on the GPU at their most; 0 on a CPU
    :param over_dds: None = not measured
    :param dds_error: why the way over DDS could not be measured; None = it was, or was left out
    """

    plan: Plan
    images: str
    size: tuple[int, int]
    machine: str
    precision: str
    rows: dict[str, RowResult]
    peak_rss_bytes: int
    peak_device_bytes: int
    over_dds: OverDds | None
    dds_error: str | None


def run_benchmark(plan: Plan, clip: Sequence[np.ndarray], *, images: str, dds: bool
                  ) -> Benchmark:
    """Measure everything.

    :param clip: consecutive images, (H, W, 3) uint8 RGB, at least two
    :param images: what they are of
    :param dds: measure the way over DDS, too
    :raises LvsError: for an option or a model that cannot work.
    """
    device = choose_device(plan.options.device)
    precision = choose_precision(plan.options.precision, device)
    size = clip[0].shape[1], clip[0].shape[0]
    network = prepare(load_network(plan.options.model), device=device, precision=precision)
    rows = measure_rows(functools.partial(_open, network, plan.options, size), plan, clip,
                        RealClock())
    over_dds = dds_error = None
    try:
        over_dds = measure_over_dds(plan, clip) if dds else None
    except LvsError as error:    # the rest has been measured, and shall be told
        dds_error = str(error)
    return Benchmark(
        plan=plan, images=images, size=size, machine=machine_name(str(device)),
        precision=precision, rows=rows,
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        peak_device_bytes=torch.cuda.max_memory_allocated(device) if device.type == 'cuda' else 0,
        over_dds=over_dds, dds_error=dds_error)


@contextlib.contextmanager
def _open(network: SegmentationNetwork, options: PipelineOptions, size: tuple[int, int],
          changes: Mapping[str, Any]) -> Iterator[SegmentationPipeline]:
    options = dataclasses.replace(options, **changes)
    # Nothing runs beside a frame that is computed in full: it has all CPU threads.
    executor: Executor = SimulatedExecutor(0.0, threads=options.cpu_threads) \
        if options.schedule == 'every_frame' else BusyExecutor(choose_executor(
            network.device, cpu_threads=options.cpu_threads,
            realtime_priority=options.realtime_priority))
    with assemble(network, options, executor=executor) as pipeline:
        pipeline.warm_up(*size)
        with uncollected():
            yield pipeline
