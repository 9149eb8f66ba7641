# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Everything that is measured in parts: the meters, and the order in which they measure.

A computer is not equally fast at all times, for heat or for other programs. So each thing is
measured in a few parts, with all others in between, and all meet the same times.
"""

import contextlib
import dataclasses
import math
from typing import Callable, Iterator, Optional, Protocol

import cv2
import torch

from lvs_ros.benchmark.clip import Clip
from lvs_ros.benchmark.machine import Memory, PeakMemory, weights_bytes
from lvs_ros.benchmark.plan import FEWEST_FRAMES, Plan
from lvs_ros.benchmark.progress import progress
from lvs_ros.benchmark.slow import RepeatedHigh, SlowMeter, count_steps, rounds_without_pause
from lvs_ros.benchmark.stages import FastTrackParts, Messages, StageMeter, Threads
from lvs_ros.benchmark.tracks import Conditions, TrackMeter
from lvs_ros.cpus import available_cpus
from lvs_ros.evaluation.clock import Clock
from lvs_ros.model import SegmentationNetwork, load_network
from lvs_ros.pipeline import PipelineOptions, SegmentationPipeline
from lvs_ros.pipeline.build import assemble, prepare
from lvs_ros.pipeline.execution import SimulatedExecutor
from lvs_ros.pipeline.memory import out_of_the_collectors_sight
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

    :param tracks: by name: the 'full' network, as it is and, where the mirror image belongs to
        that, without it ('full_unmirrored'), and the fast track alone ('fast_alone'), each frame
        when the one before is done; the fast track alone at the camera's rate
        ('fast_alone_at_rate'); while S_h runs all the time, at the rate ('fast_contended') and
        without a pause ('fast_contended_back_to_back'); at the rate, where the deviation decides
        when S_h runs ('at_rate')
    :param slow_rounds: how often S_h runs for each job in the contended tracks
    :param slow_steps: into how many S_h is cut
    :param full_s: about how long a frame takes in full
    :param fast_s: about how long a propagated one takes
    :param period_s: from frame to frame at the camera's rate
    :param operator_shape: channels, height, width and H_K of the spatially variant convolution
    """

    tracks: dict[str, TrackMeter]
    slow_rounds: dict[str, int]
    slow_steps: int
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
        parts = 1 if self.full_s > _LONG_FRAME_S else _PARTS
        jobs = [_Job(meter, self._frames(name, plan.frames, parts), self._frame_s(name))
                for name, meter in self.tracks.items()]
        jobs += [_Job(self.stages, min(plan.frames, _STAGE_FRAMES), self.fast_s),
                 _Job(self.slow, _SLOW_RUNS, self.full_s)]
        jobs = [job.within(plan.limit_s) for job in jobs]
        # each part begins with warming up, and with a frame in full
        needed_s = sum(job.count * job.each_s for job in jobs) + parts * len(self.tracks) * (
            3 * self.full_s + _WARM_UP_FRAMES * self.fast_s)
        with progress(f'measuring, about {needed_s:.0f} s', sum(job.count for job in jobs)
                      ) as update:
            for part in range(parts):
                for job in jobs:
                    job.meter.measure(job.share(part, parts), update)

    def _frames(self, name: str, frames: int, parts: int) -> int:
        if name != 'fast_contended_back_to_back' or not self.cpu_threads.in_turns:
            return frames
        # There is one step of S_h at least from frame to frame. Each part shall see the last one.
        steps = self.slow_rounds[name] * self.slow_steps
        return max(frames, parts * (math.ceil(1.2 * steps) + FEWEST_FRAMES))

    def _frame_s(self, name: str) -> float:
        if name.startswith('full'):
            return self.full_s
        return self.fast_s if self.tracks[name].conditions.rate_hz is None else self.period_s


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


def make_bench(plan: Plan, clip: Clip, clock: Clock, *, device: torch.device,
               messages: Optional[Messages]) -> Bench:
    """Load the model and find out about how long everything takes.

    :param messages: images as ROS messages; None = the stages without them
    """
    options = dataclasses.replace(plan.options, schedule='low_latency')
    with progress('loading and trying out', 1):
        peak = PeakMemory(device)
        network = prepare(load_network(options.model), device=device, precision=options.precision)
        tracks = _Tracks(network, options, clip, clock, rate_hz=plan.rate_hz)
        fast_ms = tracks.alone().try_out().compute_ms
        tracks.contended(rounds=1).try_out()
        memory = Memory(peak.rss_bytes(), peak.device_bytes(), weights_bytes(network))
        once_step = tracks.full(mirror=False).try_out()
        full_step = tracks.full().try_out() if options.flip_averaging else once_step
        slow_ms = once_step.status.stage_ms['propagation']
        period_ms = max(1e3 / plan.rate_hz, fast_ms)
        rounds = {'fast_contended': rounds_without_pause(slow_ms, period_ms),
                  'fast_contended_back_to_back': rounds_without_pause(slow_ms, fast_ms)}
        cpu_threads = _cpu_threads(options, device)
        parts = FastTrackParts(
            network, clip.frames(1, rate_hz=None)[0], inference_size=options.inference_size,
            output_size=options.output_size, messages=messages)
    return Bench(
        tracks={
            'full': tracks.full(),
            **({'full_unmirrored': tracks.full(mirror=False)} if options.flip_averaging else {}),
            'fast_alone': tracks.alone(),
            'fast_alone_at_rate': tracks.alone(at_rate=True),
            'fast_contended': tracks.contended(rounds['fast_contended'], at_rate=True),
            'fast_contended_back_to_back': tracks.contended(
                rounds['fast_contended_back_to_back']),
            'at_rate': tracks.scheduled()},
        slow_rounds=rounds, slow_steps=count_steps(network, parts.key_low),
        full_s=full_step.compute_ms / 1e3, fast_s=fast_ms / 1e3, period_s=period_ms / 1e3,
        stages=StageMeter(parts, clip, threads=tracks.threads()),
        slow=SlowMeter(network, parts.key_low, threads=cpu_threads.slow), memory=memory,
        cpu_threads=cpu_threads, dtype=parts.key_low.dtype,
        operator_shape=(network.config.head_channels, parts.key_low.shape[2],
                        parts.key_low.shape[3], network.config.kernel_size))


@dataclasses.dataclass(frozen=True)
class _Tracks:
    """Makes the meters of the tracks; each opens its pipeline when it measures.

    :param network: prepared, on its device
    :param options: of the low-latency pipeline
    """

    network: SegmentationNetwork
    options: PipelineOptions
    clip: Clip
    clock: Clock
    rate_hz: float

    def full(self, *, mirror: bool = True) -> TrackMeter:
        """Every frame in full. Without a background all the cores are the frame's: its best.

        :param mirror: with the mirror image, where that is among the options
        """
        options = dataclasses.replace(self.options, schedule='every_frame',
                                      flip_averaging=mirror and self.options.flip_averaging)
        return self._meter(Conditions(), options, self.network, warm_up_frames=0,
                           executor=SimulatedExecutor(0.0, threads=options.cpu_threads))

    def alone(self, *, at_rate: bool = False) -> TrackMeter:
        """Propagated frames; S_h never runs."""
        return self._meter(Conditions(rate_hz=self._rate_hz(at_rate)), self.options, self.network)

    def contended(self, rounds: int, *, at_rate: bool = False) -> TrackMeter:
        """Propagated frames while S_h runs all the time, so often a job."""
        options = dataclasses.replace(self.options, flip_averaging=False)  # S_h has no time
        return self._meter(Conditions(rate_hz=self._rate_hz(at_rate), threshold=0.0),
                           options, RepeatedHigh.of(self.network, rounds))

    def scheduled(self) -> TrackMeter:
        """Frames at the camera's rate; the deviation decides when S_h runs."""
        return self._meter(Conditions(rate_hz=self.rate_hz, threshold=self.options.threshold,
                                      max_key_age_frames=self.options.max_key_age_frames),
                           self.options, self.network)

    def threads(self) -> Threads:
        """Return those of a frame of the fast track."""
        device = next(self.network.parameters()).device
        with self._open(self.options, self.network):
            return Threads(
                torch=_cpu_threads(self.options, device).fast or torch.get_num_threads(),
                opencv=cv2.getNumThreads())

    def _rate_hz(self, at_rate: bool) -> Optional[float]:
        return self.rate_hz if at_rate else None

    def _meter(self, conditions: Conditions, options: PipelineOptions,
               network: SegmentationNetwork, *, warm_up_frames: int = _WARM_UP_FRAMES,
               executor: Optional[SimulatedExecutor] = None) -> TrackMeter:
        return TrackMeter(lambda: self._open(options, network, executor), conditions,
                          clip=self.clip, clock=self.clock, warm_up_frames=warm_up_frames)

    @contextlib.contextmanager
    def _open(self, options: PipelineOptions, network: SegmentationNetwork,
              executor: Optional[SimulatedExecutor] = None) -> Iterator[SegmentationPipeline]:
        with assemble(network, options, executor=executor,
                      propagation=SpatiallyVariantPropagation(network)) as pipeline:
            pipeline.warm_up(*self.clip.size)
            with out_of_the_collectors_sight():
                yield pipeline


def _cpu_threads(options: PipelineOptions, device: torch.device) -> CpuThreads:
    """Tell what the pipeline that was just built has chosen."""
    if device.type != 'cpu':
        return CpuThreads(0, 0, False)
    threads = options.cpu_threads or available_cpus()
    in_turns = takes_turns(threads)
    fast, slow = share_cores(threads, side_by_side=not in_turns)
    return CpuThreads(fast, slow, in_turns)
