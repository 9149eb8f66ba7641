# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Puts a pipeline together from options."""

from typing import Optional

import cv2
import torch

from lvs_ros.cpus import available_cpus
from lvs_ros.errors import ConfigurationError
from lvs_ros.model import SegmentationNetwork, load_network
from lvs_ros.model.compiling import BFLOAT16, FLOAT32, compile_network
from lvs_ros.model.finite import check_network
from lvs_ros.model.folding import fold_batch_norm
from lvs_ros.model.padding import pad_first_stage
from lvs_ros.native.library import has_tiles
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.calling_thread import CallingThread
from lvs_ros.pipeline.execution import SimulatedExecutor
from lvs_ros.pipeline.frame_priority import FramePriority
from lvs_ros.pipeline.gpu_streams import GpuStreams, streams_of
from lvs_ros.pipeline.lane import Lane
from lvs_ros.pipeline.memory import keep_freed_memory
from lvs_ros.pipeline.pipeline import SegmentationPipeline
from lvs_ros.pipeline.propagation import Propagation, SpatiallyVariantPropagation
from lvs_ros.pipeline.slow_track import BackgroundSlowTrack, InlineSlowTrack, SlowTrack
from lvs_ros.pipeline.smoothing import Smoothing
from lvs_ros.pipeline.threads import (core_numbers, leave_computing_to_others, share_cores,
                                      takes_turns)

PRECISIONS = {'float32': torch.float32, 'float16': torch.float16, 'bfloat16': torch.bfloat16}


def build_pipeline(options: PipelineOptions, *, executor: Optional[SimulatedExecutor] = None
                   ) -> SegmentationPipeline:
    """Load the model and make a pipeline; to be called in the thread that will run the steps.

    :param executor: None = the one that suits the device and the number of CPU threads
    :raises ConfigurationError: for a device that cannot be used.
    :raises ModelFileError: for a missing or broken model file.
    """
    network = prepare(load_network(options.model), device=choose_device(options.device),
                      precision=options.precision)
    return assemble(network, options, propagation=SpatiallyVariantPropagation(network),
                    executor=executor)


def assemble(network: SegmentationNetwork, options: PipelineOptions, *,
             propagation: Propagation, smoothing: Optional[Smoothing] = None,
             executor: Optional[SimulatedExecutor] = None) -> SegmentationPipeline:
    """Make a pipeline of parts; to be called in the thread that will run the steps.

    :param network: the result of :func:`prepare`
    :param executor: None = the one that suits the device and the number of CPU threads
    """
    device = next(network.parameters()).device
    threads = options.cpu_threads or available_cpus()
    in_turns = device.type == 'cpu' and takes_turns(threads)
    fast_threads, slow_threads = share_cores(
        threads, side_by_side=executor is None and not in_turns)
    priority = FramePriority(options.realtime_priority)
    lane = _lane(threads, priority) if in_turns else None
    streams = streams_of(device) if device.type == 'cuda' else None
    if streams is not None:
        streams.wait_for_weights()
    if device.type == 'cpu':
        if lane is None:
            torch.set_num_threads(fast_threads)
        else:
            leave_computing_to_others()
        # Optical flow and resizing; one pool a process. Beside torch's threads, which wait awake,
        # a second pool would only be in the way.
        cv2.setNumThreads(fast_threads if lane is None else 1)
        keep_freed_memory()
    return SegmentationPipeline(
        network, propagation=propagation,
        slow_track=_slow_track(network, options, threads=slow_threads, lane=lane, streams=streams,
                               executor=executor),
        settings=options, inference_size=options.inference_size,
        output_size=options.output_size,
        full_threads=threads if device.type == 'cpu' else 0,
        runner=lane or CallingThread(
            priority=priority, stream=None if streams is None else streams.frames),
        mirror=options.flip_averaging, smoothing=smoothing)


def _slow_track(network: SegmentationNetwork, options: PipelineOptions, *, threads: int,
                lane: Optional[Lane], streams: Optional[GpuStreams],
                executor: Optional[SimulatedExecutor]) -> SlowTrack:
    refine = network.refine_steps if options.flip_averaging else None
    if executor is not None:
        return InlineSlowTrack(network.high_steps, delay_s=executor.delay_s, refine=refine)
    return BackgroundSlowTrack(
        network.high_steps, threads=threads, lane=lane, streams=streams,
        policy='nice' if lane is None else 'normal', refine=refine)


def _lane(threads: int, priority: FramePriority) -> Lane:
    numbers = core_numbers()
    return Lane(frame_threads=threads, step_threads=threads,
                bound_to=numbers if threads == len(numbers) else (), priority=priority)


def choose_device(name: str) -> torch.device:
    """Return the torch device; 'auto' prefers a GPU.

    :raises ConfigurationError: when it cannot be used on this machine.
    """
    if name == 'auto':
        name = 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split('\n')[0]
        raise ConfigurationError(f'device {name!r} cannot be used ({reason}): expected "auto", '
                                 '"cpu", or "cuda:N" with a CUDA build of torch') from error


def choose_precision(name: str, device: torch.device) -> str:
    """Return one of :data:`PRECISIONS`: the given one, or for 'auto' what the device is best at.

    :raises ConfigurationError: for an unknown precision.
    """
    if name == 'auto':
        if device.type == 'cpu':
            return 'bfloat16' if has_tiles() else 'float32'
        return 'float16'
    if name not in PRECISIONS:
        raise ConfigurationError(f'precision is {name!r}: expected auto, '
                                 + ', '.join(PRECISIONS))
    return name


def prepare(network: SegmentationNetwork, *, device: torch.device, precision: str
            ) -> SegmentationNetwork:
    """Make a loaded network ready for inference: folded, on its device, channels last.

    In bfloat16, a CPU with tiles rounds what convolutions multiply; features stay float32.

    :raises ConfigurationError: for an unknown precision.
    :raises ModelFileError: when its output on an ordinary image is not finite.
    """
    precision = choose_precision(precision, device)
    with_tiles = precision == 'bfloat16' and device.type == 'cpu' and has_tiles()
    network.eval().requires_grad_(False)
    fold_batch_norm(network)
    if device.type == 'cpu':
        pad_first_stage(network.backbone)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.to(device, torch.float32 if with_tiles else PRECISIONS[precision])
    compile_network(network, BFLOAT16 if with_tiles else FLOAT32)
    check_network(network)
    return network
