# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Puts a pipeline together from options."""

import dataclasses
from typing import Optional

from lvs_ros.backends.prepare import choose_device, prepare
from lvs_ros.errors import ConfigurationError
from lvs_ros.model import SegmentationNetwork, load_network
from lvs_ros.pipeline.execution import Executor, choose_executor
from lvs_ros.pipeline.inference_size import AUTO, InferenceSize
from lvs_ros.pipeline.pipeline import SegmentationPipeline
from lvs_ros.pipeline.propagation import Propagation, SpatiallyVariantPropagation
from lvs_ros.pipeline.schedule import ScheduleSettings
from lvs_ros.pipeline.smoothing import Smoothing



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
    :param realtime_priority: 1 to 99: frames go before all programs that have no real-time
        priority, or a smaller one, where the system allows it, for four fifths of the time at
        most; 0 = they get their share like everything else
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
    cpu_threads: int = 0
    realtime_priority: int = 0
    flip_averaging: bool = True


def build_pipeline(options: PipelineOptions, executor: Optional[Executor] = None
                   ) -> SegmentationPipeline:
    """Load the model and make a pipeline; to be called in the thread that will run the steps.

    :param executor: computes frames and S_h; None = the one that suits this computer
    :raises ConfigurationError: for an option that cannot work.
    :raises ModelFileError: for a missing or broken model file.
    """
    check_options(options)
    network = prepare(load_network(options.model), device=choose_device(options.device),
                      precision=options.precision)
    return assemble(network, options, executor=executor)


def assemble(network: SegmentationNetwork, options: PipelineOptions, *,
             executor: Optional[Executor] = None, propagation: Optional[Propagation] = None,
             smoothing: Optional[Smoothing] = None) -> SegmentationPipeline:
    """Make a pipeline of parts; to be called in the thread that will run the steps.

    :param network: the result of :func:`prepare`
    :param options: checked by :func:`check_options`
    :param executor: see :func:`build_pipeline`
    :param propagation: None = the paper's
    """
    return SegmentationPipeline(
        network, propagation=propagation or SpatiallyVariantPropagation(network),
        executor=executor or choose_executor(
            network.device, cpu_threads=options.cpu_threads,
            realtime_priority=options.realtime_priority),
        settings=_settings(options), inference_size=options.inference_size,
        output_size=options.output_size, flip_averaging=options.flip_averaging,
        smoothing=smoothing)


def _settings(options: PipelineOptions) -> ScheduleSettings:
    return ScheduleSettings(
        name=options.schedule, threshold=options.threshold,
        fixed_interval=options.fixed_interval, max_key_age_frames=options.max_key_age_frames)


def check_options(options: PipelineOptions) -> None:
    """Raise :class:`~lvs_ros.errors.ConfigurationError` for an option that cannot work."""
    _settings(options)
    if not 0 <= options.realtime_priority <= 99:
        raise ConfigurationError(f'realtime_priority is {options.realtime_priority}: expected 1 '
                                 'to 99, or 0 for none')
    InferenceSize(options.inference_size)
    size = options.output_size
    if len(size) != 2 or (tuple(size) != (0, 0) and min(size) < 16):
        raise ConfigurationError(f'output_size is {list(size)}: expected [width, height] of at '
                                 "least 16 pixels each, or [0, 0] for the image's own size")
