# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The rows of the table: a schedule, a way to propagate, and one network for all of them."""

import dataclasses
from typing import Callable, Mapping, Optional

from lvs_ros.backends.prepare import choose_device, prepare
from lvs_ros.errors import ConfigurationError, ModelFileError
from lvs_ros.model import SegmentationNetwork, load_network
from lvs_ros.model.checkpoint import load_rivals, rivals_path
from lvs_ros.model.small_network import SMALL_SHAPES
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.build import assemble
from lvs_ros.pipeline.execution import SimulatedExecutor
from lvs_ros.pipeline.pipeline import SegmentationPipeline
from lvs_ros.pipeline.propagation import (FlowPropagation, HoldPropagation, Propagation,
                                          SpatiallyVariantPropagation)
from lvs_ros.pipeline.smoothing import GatedRecurrentSmoothing


FORECAST = '_forecast'
"""What the name of a row ends in that looks ahead, after that of the one that does not."""


def _hold(_network: SegmentationNetwork) -> Propagation:
    return HoldPropagation()


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the table.

    :param name: as in evaluation.json
    :param title: as it is printed
    :param schedule: one of :data:`~lvs_ros.pipeline.schedule.SCHEDULES`
    :param propagation: makes the propagation of a network; of rows that propagate nothing the
        one that costs nothing
    :param rival: the weights of its own that the row needs: one of
        :data:`~lvs_ros.model.small_network.SMALL_SHAPES`, 'recurrent' or None
    :param looks_ahead: its output is the forecast; the mask is that of the row without
    """

    name: str
    title: str
    schedule: str
    propagation: Callable[[SegmentationNetwork], Propagation] = SpatiallyVariantPropagation
    rival: Optional[str] = None
    looks_ahead: bool = False

    @property
    def small_share(self) -> Optional[float]:
        """Time of a small network, of that of the fast track; None = it is none."""
        return {'small': 1.0, 'small_half': 0.5}.get(self.rival or '')

    @property
    def has_background(self) -> bool:
        """Whether S_h runs beside the frames."""
        return self.schedule == 'low_latency'


ROWS: Mapping[str, Row] = {row.name: row for row in (
    Row('clockwork', 'Clockwork (hold)', 'fixed', _hold),
    Row('deep_feature_flow', 'Deep Feature Flow (DIS)', 'fixed', FlowPropagation),
    Row('grfp5', 'GRFP(5)', 'every_frame', _hold, rival='recurrent'),
    Row('per_frame', 'per-frame network', 'every_frame', _hold),
    Row('fixed', 'fixed schedule', 'fixed'),
    Row('adaptive', 'adaptive schedule', 'adaptive'),
    Row('low_latency', 'low-latency', 'low_latency'),
    Row('low_latency_forecast', 'low-latency ahead', 'low_latency', looks_ahead=True),
    Row('small_per_frame', 'small per-frame', 'every_frame', _hold, rival='small'),
    Row('small_per_frame_forecast', 'small ahead', 'every_frame', _hold, rival='small',
        looks_ahead=True),
    Row('small_per_frame_half', 'smaller per-frame', 'every_frame', _hold, rival='small_half'),
    Row('small_per_frame_half_forecast', 'smaller ahead', 'every_frame', _hold,
        rival='small_half', looks_ahead=True),
)}
"""The paper's Table 1, and the small network on every frame; two of them looking ahead, too."""


def build_row(name: str, options: PipelineOptions, slow_delay_s: Optional[float] = None
              ) -> SegmentationPipeline:
    """Make the pipeline of a row; to be called in the thread that will run the steps.

    :param options: of all rows; the schedule comes from the row
    :param slow_delay_s: simulated duration of S_h; None = it takes as long as it takes
    :raises ConfigurationError: for an unknown row, or an option that cannot work.
    :raises ModelFileError: when the model, or the weights that the row needs, are not there.
    """
    if name not in ROWS:
        raise ConfigurationError(f'row {name!r}: expected one of ' + ', '.join(ROWS))
    row = ROWS[name]
    options = dataclasses.replace(options, schedule=row.schedule)
    network = load_network(options.model)
    smoothing = None
    device = choose_device(options.device)
    if row.rival is not None:
        path = rivals_path(options.model)
        rivals = load_rivals(path, network)
        if row.rival not in rivals.trained:
            raise ModelFileError(
                f'{path}: it has no weights for the row {row.name}; train them with '
                f'"lvs train --stages {row.rival}", or leave that row out')
        if row.rival in SMALL_SHAPES:
            network = rivals.small_network(row.rival)
            options = dataclasses.replace(options, flip_averaging=False)    # it would need S_h
        else:
            # Probabilities of 5 frames in 16 bits would round away what is to be added up.
            smoothing = GatedRecurrentSmoothing(
                rivals.recurrent.requires_grad_(False).to(device))
    network = prepare(network, device=device, precision=options.precision)
    executor = None
    if not row.has_background or slow_delay_s is not None:
        # Nothing runs beside the frames: they have all the cores.
        executor = SimulatedExecutor(slow_delay_s or 0.0, threads=options.cpu_threads)
    return assemble(network, options, executor=executor, propagation=row.propagation(network),
                    smoothing=smoothing)
