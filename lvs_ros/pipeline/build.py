# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Puts a pipeline together from options."""

import dataclasses
from typing import Optional

import cv2
import torch

from lvs_ros.backends import eager
from lvs_ros.backends.cpu.library import has_amx
from lvs_ros.backends.cpu.prepare import prepare as prepare_for_cpu
from lvs_ros.backends.cuda.prepare import prepare as prepare_for_cuda
from lvs_ros.errors import ConfigurationError
from lvs_ros.model import SegmentationNetwork, load_network
from lvs_ros.model.finite import check_network
from lvs_ros.pipeline.calling_thread import CallingThread
from lvs_ros.pipeline.frame_priority import FramePriority
from lvs_ros.pipeline.gpu_streams import GpuStreams, streams_of
from lvs_ros.pipeline.inference_size import AUTO, InferenceSize
from lvs_ros.pipeline.lane import Lane
from lvs_ros.pipeline.memory import keep_freed_memory
from lvs_ros.pipeline.pipeline import SegmentationPipeline
from lvs_ros.pipeline.propagation import Propagation, SpatiallyVariantPropagation
from lvs_ros.pipeline.schedule import ScheduleSettings
from lvs_ros.pipeline.slow_track import BackgroundSlowTrack, InlineSlowTrack, SlowTrack
from lvs_ros.pipeline.smoothing import Smoothing
from lvs_ros.pipeline.threads import (check_policy, check_sharing, core_numbers, cores,
                                      leave_computing_to_others, share_cores, takes_turns)

PRECISIONS = {'float32': torch.float32, 'float16': torch.float16, 'bfloat16': torch.bfloat16}
SLOW_TRACKS = ('background', 'inline')


@dataclasses.dataclass(frozen=True)
class PipelineOptions:
    """All settings of a pipeline; the node's parameters of the same names.

    :param model: a name in ``config/models``, or the path of a .safetensors file
    :param schedule: one of :data:`~lvs_ros.pipeline.schedule.SCHEDULES`
    :param threshold: deviation above which a frame becomes a key frame, 0..1
    :param fixed_interval: frames from key frame to key frame of the fixed schedule
    :param max_key_age_frames: a key frame at the latest after so many frames; 0 = no limit
    :param device: 'auto' (a GPU if there is one), 'cpu', 'cuda:0', …
    :param precision: 'auto' (float16 on a GPU, bfloat16 on a CPU that multiplies matrices of it,
        else float32), 'float32', 'float16', 'bfloat16'
    :param inference_size: at what size the network sees the images: 'auto', 'image' or '640x480',
        see :class:`~lvs_ros.pipeline.inference_size.InferenceSize`
    :param output_size: (width, height) of the masks; (0, 0) = the image's own
    :param cpu_sharing: how frames and slow track share a CPU: 'turns' (each on all cores in
        turn, the frames first), 'side_by_side' (each on cores of its own) or 'auto' (turns up to
        3 cores)
    :param fast_threads: CPU threads of the fast track; 0 = all cores, or side by side what the
        slow track leaves
    :param slow_threads: CPU threads of the slow track; 0 = all cores, or side by side half of them
    :param bind_threads: in turns on all cores, each thread keeps to a core of its own
    :param realtime_priority: 1 to 99: frames go before all programs that have no real-time
        priority, or a smaller one, where the system allows it, for four fifths of the time at
        most; 0 = they get their share like everything else
    :param rehearse: in turns, where nothing else is to be done, S_l runs on an empty image
        shortly before the next frame is expected, so that cores are awake and their caches warm
    :param mirror: S_h sees the mirror image, too, and F_h is the mean of both; with the
        low-latency schedule that follows S_h's result where there is time before the next one
    :param slow_policy: 'idle', 'nice' or 'normal': scheduling of the slow track on a CPU where it
        runs side by side; in turns a frame waits for its step, which nothing must hold up
    :param slow_track: 'background', or 'inline' (deterministic, its delay simulated)
    :param slow_delay_s: simulated duration of S_h of the inline slow track, and once more of its
        refinement, seconds of stamp time
    """

    model: str = 'lite_camvid'
    schedule: str = 'low_latency'
    threshold: float = 0.1
    fixed_interval: int = 5
    max_key_age_frames: int = 0
    device: str = 'auto'
    precision: str = 'auto'
    inference_size: str = AUTO
    output_size: tuple[int, int] = (0, 0)
    cpu_sharing: str = 'auto'
    fast_threads: int = 0
    slow_threads: int = 0
    bind_threads: bool = True
    realtime_priority: int = 0
    rehearse: bool = False
    mirror: bool = True
    slow_policy: str = 'nice'
    slow_track: str = 'background'
    slow_delay_s: float = 0.3


def build_pipeline(options: PipelineOptions) -> SegmentationPipeline:
    """Load the model and make a pipeline; to be called in the thread that will run the steps.

    :raises ConfigurationError: for an option that cannot work.
    :raises ModelFileError: for a missing or broken model file.
    """
    check_options(options)
    network = prepare(load_network(options.model), device=choose_device(options.device),
                      precision=options.precision)
    return assemble(network, options, propagation=SpatiallyVariantPropagation(network))


def assemble(network: SegmentationNetwork, options: PipelineOptions, *,
             propagation: Propagation, smoothing: Optional[Smoothing] = None
             ) -> SegmentationPipeline:
    """Make a pipeline of parts; to be called in the thread that will run the steps.

    :param network: the result of :func:`prepare`
    :param options: checked by :func:`check_options`
    """
    device = next(network.parameters()).device
    background = options.slow_track == 'background'
    in_turns = device.type == 'cpu' and takes_turns(options.cpu_sharing)
    fast_threads, slow_threads = share_cores(
        fast=options.fast_threads, slow=options.slow_threads,
        side_by_side=background and not in_turns)
    priority = FramePriority(options.realtime_priority)
    lane = _lane(options, fast_threads, slow_threads, priority) if in_turns else None
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
        slow_track=_slow_track(network, options, threads=slow_threads, lane=lane, streams=streams),
        settings=_settings(options), inference_size=options.inference_size,
        output_size=options.output_size,
        full_threads=(options.fast_threads or cores()) if device.type == 'cpu' else 0,
        runner=lane or CallingThread(
            priority=priority, stream=None if streams is None else streams.frames),
        rehearse=options.rehearse, mirror=options.mirror, smoothing=smoothing)


def _slow_track(network: SegmentationNetwork, options: PipelineOptions, *, threads: int,
                lane: Optional[Lane], streams: Optional[GpuStreams]) -> SlowTrack:
    refine = network.refine_steps if options.mirror else None
    if options.slow_track == 'inline':
        return InlineSlowTrack(network.high_steps, delay_s=options.slow_delay_s, refine=refine)
    return BackgroundSlowTrack(
        network.high_steps, threads=threads, lane=lane, streams=streams,
        policy=options.slow_policy if lane is None else 'normal', refine=refine)


def _lane(options: PipelineOptions, fast_threads: int, slow_threads: int,
          priority: FramePriority) -> Lane:
    numbers = core_numbers()
    binds = options.bind_threads and fast_threads == slow_threads == len(numbers)
    return Lane(frame_threads=fast_threads, step_threads=slow_threads,
                bound_to=numbers if binds else (), priority=priority)


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
            return 'bfloat16' if has_amx() else 'float32'
        return 'float16'
    if name not in PRECISIONS:
        raise ConfigurationError(f'precision is {name!r}: expected auto, '
                                 + ', '.join(PRECISIONS))
    return name


def prepare(network: SegmentationNetwork, *, device: torch.device, precision: str
            ) -> SegmentationNetwork:
    """Make a loaded network ready for inference: folded, on its device, channels last.

    In bfloat16, a CPU with AMX rounds what convolutions multiply; features stay float32.

    :raises ConfigurationError: for an unknown precision.
    :raises ModelFileError: when its output on an ordinary image is not finite.
    """
    dtype = PRECISIONS[choose_precision(precision, device)]
    if device.type == 'cpu':
        prepare_for_cpu(network, dtype)
    else:
        prepare = prepare_for_cuda if device.type == 'cuda' else eager.prepare
        prepare(network, device, dtype)
    check_network(network)
    return network


def _settings(options: PipelineOptions) -> ScheduleSettings:
    return ScheduleSettings(
        name=options.schedule, threshold=options.threshold,
        fixed_interval=options.fixed_interval, max_key_age_frames=options.max_key_age_frames)


def check_options(options: PipelineOptions) -> None:
    """Raise :class:`~lvs_ros.errors.ConfigurationError` for an option that cannot work."""
    _settings(options)
    check_policy(options.slow_policy)
    check_sharing(options.cpu_sharing)
    if options.slow_track not in SLOW_TRACKS:
        raise ConfigurationError(f'slow_track is {options.slow_track!r}: expected one of '
                                 + ', '.join(SLOW_TRACKS))
    if not 0 <= options.slow_delay_s < float('inf'):
        raise ConfigurationError(f'slow_delay_s is {options.slow_delay_s}: expected 0 or more')
    if not 0 <= options.realtime_priority <= 99:
        raise ConfigurationError(f'realtime_priority is {options.realtime_priority}: expected 1 '
                                 'to 99, or 0 for none')
    for name in ('fast_threads', 'slow_threads'):
        if getattr(options, name) < 0:
            raise ConfigurationError(f'{name} is {getattr(options, name)}: expected 0 (automatic) '
                                     'or more')
    InferenceSize(options.inference_size)
    size = options.output_size
    if len(size) != 2 or (tuple(size) != (0, 0) and min(size) < 16):
        raise ConfigurationError(f'output_size is {list(size)}: expected [width, height] of at '
                                 "least 16 pixels each, or [0, 0] for the image's own size")
