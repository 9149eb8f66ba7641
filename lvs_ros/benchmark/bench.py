# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Everything that is measured in turns: the pipelines with their meters, and their rounds.

A computer is not equally fast at all times, for heat or for other programs. So each thing is
measured in a few parts, with all others in between, and all meet the same times.
"""

import contextlib
import dataclasses
import functools
import math
from typing import Callable, Iterator, Optional, Protocol

import torch

from lvs_ros.benchmark.clip import Clip
from lvs_ros.benchmark.machine import Memory, PeakMemory, weights_bytes
from lvs_ros.benchmark.plan import FEWEST_FRAMES, Plan
from lvs_ros.benchmark.progress import progress
from lvs_ros.benchmark.slow import RepeatedHigh, SlowMeter, rounds_without_pause
from lvs_ros.benchmark.stages import FastTrackParts, Messages, StageMeter
from lvs_ros.benchmark.tracks import Conditions, Threads, TrackMeter
from lvs_ros.evaluation.clock import Clock
from lvs_ros.model import load_network
from lvs_ros.pipeline import PipelineOptions, SegmentationPipeline, build_pipeline
from lvs_ros.pipeline.build import assemble, prepare
from lvs_ros.pipeline.propagation import SpatiallyVariantPropagation
from lvs_ros.pipeline.threads import share_cores, takes_turns

_PARTS = 3
_LONG_FRAME_S = 2.0    # of the full network: then all at once, each part begins with such frames
_STAGE_FRAMES, _SLOW_RUNS = 60, 12
_WARM_UP_FRAMES = 5


@dataclasses.dataclass(frozen=True)
class CpuThreads:
    """CPU threads of the network; 0 where it runs on a GPU.

    :param fast: of a frame that is propagated
    :param slow: of S_h in the background
    :param in_turns: both use the cores in turn
    """

    fast: int
    slow: int
    in_turns: bool


class _Meter(Protocol):
    """What measures something, a few at a time."""

    def measure(self, count: int, progress: Callable[[], object]) -> None:
        """Measure so many."""


@dataclasses.dataclass(frozen=True)
class Bench:
    """The meters.

    :param tracks: by name: the 'full' network and the fast track alone ('fast_alone'), each frame
        when the one before is done; the fast track alone at the camera's rate
        ('fast_alone_at_rate'); while S_h runs all the time, at the rate ('fast_contended') and
        without a pause ('fast_contended_back_to_back'); at the rate, where the deviation decides
        when S_h runs ('at_rate')
    :param slow_rounds: how often S_h runs for each job in the contended tracks
    :param full_s: about how long a frame takes in full
    :param fast_s: about how long a propagated one takes
    :param period_s: from frame to frame at the camera's rate
    :param operator_shape: channels, height, width and H_K of the spatially variant convolution
    """

    tracks: dict[str, TrackMeter]
    slow_rounds: dict[str, int]
    full_s: float
    fast_s: float
    period_s: float
    stages: StageMeter
    slow: SlowMeter
    memory: Memory
    cpu_threads: CpuThreads
    dtype: torch.dtype
    operator_shape: tuple[int, int, int, int]

    def run(self, plan: Plan) -> None:
        """Measure everything."""
        jobs = [_Job(meter, plan.frames, self._frame_s(meter))
                for meter in self.tracks.values()]
        jobs += [_Job(self.stages, min(plan.frames, _STAGE_FRAMES), self.fast_s),
                 _Job(self.slow, _SLOW_RUNS, self.full_s)]
        jobs = [job.within(plan.limit_s) for job in jobs]
        parts = 1 if self.full_s > _LONG_FRAME_S else _PARTS
        needed_s = sum(job.count * job.each_s + parts * self.full_s for job in jobs)
        with progress(f'measuring, about {needed_s:.0f} s', sum(job.count for job in jobs)
                      ) as update:
            for part in range(parts):
                for job in jobs:
                    job.meter.measure(job.share(part, parts), update)

    def _frame_s(self, meter: TrackMeter) -> float:
        if meter is self.tracks['full']:
            return self.full_s
        return self.fast_s if meter.conditions.rate_hz is None else self.period_s


@dataclasses.dataclass(frozen=True)
class _Job:
    """What a meter is to measure.

    :param each_s: about how long one takes
    """

    meter: _Meter
    count: int
    each_s: float

    def within(self, limit_s: float) -> '_Job':
        """Return as much of it as can be done in a time, and a little at least."""
        affordable = max(FEWEST_FRAMES, math.floor(limit_s / self.each_s))
        return dataclasses.replace(self, count=min(self.count, affordable))

    def share(self, part: int, parts: int) -> int:
        """Return how many are measured in one of several parts."""
        return self.count * (part + 1) // parts - self.count * part // parts


@contextlib.contextmanager
def make_bench(plan: Plan, clip: Clip, clock: Clock, *, device: torch.device,
               messages: Optional[Messages]) -> Iterator[Bench]:
    """Build and warm up everything; close the pipelines in the end.

    :param messages: images as ROS messages; None = the stages without them
    """
    options = dataclasses.replace(plan.options, schedule='low_latency', slow_track='background')
    with contextlib.ExitStack() as stack:
        with progress('loading and warming up', 1):
            bench = _build(plan, options, _Workshop(clip, clock, stack), device, messages)
        yield bench


MakeMeter = Callable[[Conditions], TrackMeter]


@dataclasses.dataclass(frozen=True)
class _Workshop:
    """Makes the meters of tracks.

    :param stack: closes the pipelines
    """

    clip: Clip
    clock: Clock
    stack: contextlib.ExitStack

    def meters_of(self, pipeline: SegmentationPipeline) -> MakeMeter:
        """Warm up a pipeline that was just built; return what makes its meters."""
        self.stack.enter_context(pipeline)
        pipeline.warm_up(*self.clip.size)
        return functools.partial(TrackMeter, pipeline, clip=self.clip, clock=self.clock,
                                 threads=Threads.now())


def _build(plan: Plan, options: PipelineOptions, workshop: _Workshop, device: torch.device,
           messages: Optional[Messages]) -> Bench:
    alone, contended = Conditions(), Conditions(threshold=0.0)
    peak = PeakMemory(device)
    fast = workshop.meters_of(build_pipeline(options))
    threads, cpu_threads = Threads.now(), _cpu_threads(options, device)
    fast_ms = fast(alone).warm_up(_WARM_UP_FRAMES).compute_ms
    fast(contended).warm_up(_WARM_UP_FRAMES)
    peak_rss, peak_device = peak.rss_bytes(), peak.device_bytes()
    # Without a background, all the cores are the frame's: the full network at its best.
    full = workshop.meters_of(build_pipeline(dataclasses.replace(
        options, schedule='every_frame', slow_track='inline')))(alone)
    full_step = full.warm_up(1)
    network = prepare(load_network(options.model), device=device, precision=options.precision)
    slow_ms = full_step.result.status.stage_ms['propagation']
    period_ms = max(1e3 / plan.rate_hz, fast_ms)
    rounds = {'fast_contended': rounds_without_pause(slow_ms, period_ms),
              'fast_contended_back_to_back': rounds_without_pause(slow_ms, fast_ms)}
    busy = {1: fast}
    for count in set(rounds.values()) - {1}:
        busy[count] = workshop.meters_of(assemble(
            RepeatedHigh(network, count), options,
            propagation=SpatiallyVariantPropagation(network)))
        busy[count](contended).warm_up(_WARM_UP_FRAMES)
    parts = FastTrackParts(
        network, workshop.clip.frames(1, rate_hz=None)[0], inference_size=options.inference_size,
        output_size=options.output_size, messages=messages)
    at_rate = dataclasses.replace(alone, rate_hz=plan.rate_hz)
    tracks = {
        'full': full,
        'fast_alone': fast(alone),
        'fast_alone_at_rate': fast(at_rate),
        'fast_contended': busy[rounds['fast_contended']](
            dataclasses.replace(at_rate, threshold=0.0)),
        'fast_contended_back_to_back': busy[rounds['fast_contended_back_to_back']](contended),
        'at_rate': fast(dataclasses.replace(
            at_rate, threshold=options.threshold, max_key_age_frames=options.max_key_age_frames))}
    return Bench(
        tracks=tracks, slow_rounds=rounds, full_s=full_step.compute_ms / 1e3,
        fast_s=fast_ms / 1e3, period_s=period_ms / 1e3,
        stages=StageMeter(parts, workshop.clip, threads=threads),
        slow=SlowMeter(network, parts.key_low, threads=cpu_threads.slow),
        memory=Memory(peak_rss, peak_device, weights_bytes(network)), cpu_threads=cpu_threads,
        dtype=parts.key_low.dtype,
        operator_shape=(network.config.head_channels, parts.key_low.shape[2],
                        parts.key_low.shape[3], network.config.kernel_size))


def _cpu_threads(options: PipelineOptions, device: torch.device) -> CpuThreads:
    """Tell what the pipeline that was just built has chosen."""
    if device.type != 'cpu':
        return CpuThreads(0, 0, False)
    in_turns = takes_turns(options.cpu_sharing)
    fast, slow = share_cores(fast=options.fast_threads, slow=options.slow_threads,
                             side_by_side=not in_turns)
    return CpuThreads(fast, slow, in_turns)
