# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""One evaluation: rows, protocols, sweep and deviation on the same drives with one model."""

import dataclasses
import datetime
import hashlib
import pathlib
import platform
import re
from typing import Any, Optional, Sequence

import numpy as np
import torch

from lvs_ros import __version__
from lvs_ros.backends.prepare import choose_precision
from lvs_ros.cpus import available_cpus
from lvs_ros.evaluation.bootstrap import BLOCK_S, RESAMPLES
from lvs_ros.evaluation.clock import Clock
from lvs_ros.evaluation.dataset import Dataset
from lvs_ros.evaluation.deviation import DeviationPair, deviation_pairs, spearman
from lvs_ros.evaluation.offsets import OffsetsSummary, run_offsets
from lvs_ros.evaluation.rows import ROWS, build_row
from lvs_ros.evaluation.run import REFERENCE, RowRun, Runner, stated_durations
from lvs_ros.evaluation.streaming import labels_one_frame_old, miou_or_none
from lvs_ros.evaluation.summary import RowSummary, Summariser
from lvs_ros.evaluation.sweep import Sweep, sweep_duration, sweep_threshold
from lvs_ros.model.checkpoint import find_model
from lvs_ros.options import PipelineOptions

OFFSET_ROWS = ('clockwork', 'deep_feature_flow', 'fixed')
"""Rows of the fixed schedule that propagate."""

DURATION_ROWS = ('per_frame', 'small_per_frame', 'low_latency')
"""Rows of the curve over the duration of the full network; two of them look ahead, too."""

TIMELINE_ROWS = ('low_latency', 'adaptive')
"""Rows that ask for the deviation, the first choice first."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be measured.

    :param rows: names of rows; the per-frame network is run whether it is among them or not
    :param options: of all rows
    :param slow_delay_s: simulated duration of S_h; None = it takes as long as it takes
    :param offsets: the protocol of :mod:`~lvs_ros.evaluation.offsets` too
    :param full_s: simulated duration of the full network; None = as follows from that of S_h
    :param thresholds: of the sweep; None = no sweep
    :param durations_s: of the full network, for the curve over them; None = no curve
    :param seed: of the bootstrap
    """

    rows: tuple[str, ...]
    options: PipelineOptions
    slow_delay_s: Optional[float] = None
    offsets: bool = False
    full_s: Optional[float] = None
    thresholds: Optional[tuple[float, ...]] = None
    durations_s: Optional[tuple[float, ...]] = None
    seed: int = 0

    @property
    def simulated(self) -> bool:
        """S_h takes a simulated time, in place of the time it really takes."""
        return self.slow_delay_s is not None


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What was measured.

    :param about: how and where, as it stands at the top of evaluation.json
    :param runs: of the rows, in the order of ``rows``
    :param reference: the per-frame network's run
    :param offsets: None = not asked for
    :param sweep: None = not asked for
    :param perfect_miou: streaming mIoU of the labels themselves, one frame old; None = no two
        labelled frames follow each other
    :param durations: streaming mIoU over ``plan.durations_s`` by the name of the row; None = not
        asked for
    """

    plan: Plan
    dataset: Dataset
    about: dict[str, Any]
    rows: list[RowSummary]
    runs: list[RowRun]
    reference: RowRun
    pairs: list[DeviationPair]
    offsets: Optional[list[OffsetsSummary]]
    sweep: Optional[Sweep]
    perfect_miou: Optional[float]
    durations: Optional[dict[str, list[float]]]

    @property
    def deviation_spearman(self) -> Optional[float]:
        """Predicted against true deviation, over all pairs; None where it is not defined."""
        return summary_of_pairs(self.pairs)['spearman']

    def as_dict(self) -> dict[str, Any]:
        """Return what stands in evaluation.json."""
        found = {**self.about, 'deviation_spearman': self.deviation_spearman,
                 'perfect_labels_one_frame_old': self.perfect_miou,
                 'rows': [dataclasses.asdict(row) for row in self.rows],
                 'deviation': deviation_by_distance(self.pairs)}
        if self.offsets is not None:
            found['offsets'] = [dataclasses.asdict(entry) for entry in self.offsets]
        if self.sweep is not None:
            found['sweep'] = {
                'curves': {name: [dataclasses.asdict(point.row) for point in points]
                           for name, points in self.sweep.curves.items()},
                'equal_key_rate': [dataclasses.asdict(e) for e in self.sweep.equal_rate]}
        if self.durations is not None:
            found['streaming_miou_by_duration'] = {
                'full_s': self.plan.durations_s, **self.durations}
        return found


def evaluate(plan: Plan, dataset: Dataset, clock: Clock) -> Evaluation:
    """Measure everything that the plan asks for.

    :raises LvsError: for data, a model or an option that cannot work.
    """
    for name in plan.rows:
        # weights that are not there shall show before anything is run
        if ROWS[name].rival is not None:
            build_row(name, plan.options).close()
    runner = Runner(dataset, plan.options, clock, plan.slow_delay_s, plan.full_s)
    summariser = Summariser(dataset, runner.reference, seed=plan.seed)
    runs = [runner.run(name) for name in plan.rows]
    offsets = [run_offsets(name, plan.options, dataset) for name in plan.rows
               if name in OFFSET_ROWS] if plan.offsets else None
    sweep = None if plan.thresholds is None else sweep_threshold(
        runner, summariser, thresholds=plan.thresholds)
    durations = None if plan.durations_s is None else sweep_duration(
        runner, [name for name in DURATION_ROWS if name in plan.rows], plan.durations_s)
    return Evaluation(
        plan=plan, dataset=dataset, about=_about(plan, dataset, runner.reference, summariser),
        rows=[summariser.summarise(run) for run in runs], runs=runs, reference=runner.reference,
        pairs=deviation_pairs(plan.options, dataset, runner.reference), offsets=offsets,
        sweep=sweep, perfect_miou=_perfect_miou(dataset), durations=durations)


def _perfect_miou(dataset: Dataset) -> Optional[float]:
    classes = len(dataset.label_set)
    counts = sum((labels_one_frame_old(drive.load().labels, classes) for drive in dataset.drives),
                 np.zeros((classes, classes), np.int64))
    return miou_or_none([counts]) if counts.any() else None


def deviation_by_distance(pairs: Sequence[DeviationPair]) -> list[dict[str, Any]]:
    """Return a summary of the pairs of each distance."""
    return [{'distance_frames': distance,
             **summary_of_pairs([pair for pair in pairs if pair.distance == distance])}
            for distance in sorted({pair.distance for pair in pairs})]


def summary_of_pairs(pairs: Sequence[DeviationPair]) -> dict[str, Any]:
    """Return their count, rank correlation and means; None where they are not defined."""
    true, predicted = [pair.true for pair in pairs], [pair.predicted for pair in pairs]
    rho = spearman(predicted, true)
    return {'pairs': len(pairs), 'spearman': rho if np.isfinite(rho) else None,
            'true_mean': float(np.mean(true)) if pairs else None,
            'predicted_mean': float(np.mean(predicted)) if pairs else None}


def _about(plan: Plan, dataset: Dataset, reference: RowRun, summariser: Summariser
           ) -> dict[str, Any]:
    model = find_model(plan.options.model)
    durations = stated_durations(plan.options, plan.slow_delay_s, plan.full_s)
    return {
        'dataset': dataset.name,
        'frames': dataset.frame_count,
        'drives': len(dataset.drives),
        'rate_hz': dataset.rate_hz,
        'model': model.stem,
        'model_sha256': hashlib.sha256(model.read_bytes()).hexdigest(),
        'device': reference.device,
        'machine': machine_name(reference.device),
        'cores': available_cpus(),
        'precision': choose_precision(plan.options.precision, torch.device(reference.device)),
        'flip_averaging': plan.options.flip_averaging,
        'inference_size': plan.options.inference_size,
        'clock': 'simulated' if plan.simulated else 'real',
        'slow_delay_s': plan.slow_delay_s,
        'full_s': None if durations is None else durations.full_s,
        'bootstrap': {'resamples': RESAMPLES, 'block_s': BLOCK_S,
                      'block_frames': summariser.block_frames, 'seed': plan.seed},
        'reference': REFERENCE,
        'date': datetime.date.today().isoformat(),
        'lvs_ros': __version__,
        'torch': torch.__version__,
    }


def machine_name(device: str) -> str:
    """Return what kind of processor or GPU a device is."""
    if device.startswith('cuda'):
        return torch.cuda.get_device_name(torch.device(device))
    text = pathlib.Path('/proc/cpuinfo').read_text(encoding='utf-8', errors='replace')
    match = re.search(r'^model name\s*:\s*(.+)$', text, re.MULTILINE)
    return match[1] if match else platform.machine()
