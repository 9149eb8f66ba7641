# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Puts a pipeline together from options."""

from typing import Optional

from lvs_ros.backends.prepare import choose_device, prepare, stages_of
from lvs_ros.backends.stages import Stages
from lvs_ros.model import SegmentationNetwork, load_network
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.execution import Executor, choose_executor
from lvs_ros.pipeline.pipeline import SegmentationPipeline
from lvs_ros.pipeline.propagation import Propagation, SpatiallyVariantPropagation
from lvs_ros.pipeline.smoothing import Smoothing


def build_pipeline(options: PipelineOptions, executor: Optional[Executor] = None
                   ) -> SegmentationPipeline:
    """Load the model and make a pipeline; to be called in the thread that will run the steps.

    :param executor: computes frames and S_h; None = the one that suits this computer
    :raises ConfigurationError: for a device that cannot be used.
    :raises ModelFileError: for a missing or broken model file.
    """
    network = prepare(load_network(options.model), device=choose_device(options.device),
                      precision=options.precision)
    return assemble(network, options, executor=executor)


def assemble(network: SegmentationNetwork, options: PipelineOptions, *,
             executor: Optional[Executor] = None, propagation: Optional[Propagation] = None,
             smoothing: Optional[Smoothing] = None, stages: Optional[Stages] = None
             ) -> SegmentationPipeline:
    """Make a pipeline of parts; to be called in the thread that will run the steps.

    :param network: the result of :func:`~lvs_ros.backends.prepare.prepare`
    :param executor: see :func:`build_pipeline`
    :param propagation: None = the paper's
    :param stages: None = those that suit the device
    """
    propagation = propagation or SpatiallyVariantPropagation(network)
    return SegmentationPipeline(
        network.config, options, stages=stages or stages_of(network, propagation),
        device=network.device, flow=propagation.flow,
        executor=executor or choose_executor(
            network.device, cpu_threads=options.cpu_threads,
            realtime_priority=options.realtime_priority),
        smoothing=smoothing)
