# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""One evaluation: rows, protocols, sweep and deviation on the same drives with one model.

The per-frame network is run first: everything else is compared with it. What there is can be kept
after each part (``on_part``), so that an interruption costs no more than the part it falls into.
"""

import dataclasses
import hashlib
import pathlib
import platform
import re
from typing import Any, Callable, Optional, Sequence

import numpy as np
import torch

from lvs_ros.backends.prepare import choose_precision
from lvs_ros.cpus import available_cpus
from lvs_ros.evaluation.agreement import named_agreement
from lvs_ros.evaluation.bootstrap import BLOCK_S, RESAMPLES
from lvs_ros.evaluation.breakdown import DriveScore, WorstFrame, by_drive, worst_frames
from lvs_ros.evaluation.clock import Clock
from lvs_ros.evaluation.dataset import Dataset
from lvs_ros.evaluation.deviation import DeviationPair, deviation_pairs, spearman
from lvs_ros.evaluation.offsets import (OffsetsSummary, frames_of_offsets, offset_targets,
                                        run_offsets)
from lvs_ros.evaluation.progress import Progress
from lvs_ros.evaluation.refined import RefinedSummary, run_refined
from lvs_ros.evaluation.rows import ROWS, build_row
from lvs_ros.evaluation.run import REFERENCE, RowRun, Runner, stated_durations
from lvs_ros.evaluation.streaming import labels_one_frame_old, miou_or_none
from lvs_ros.evaluation.summary import RowSummary, Summariser
from lvs_ros.evaluation.sweep import INTERVALS, Sweep, sweep_duration, sweep_threshold
from lvs_ros.model.checkpoint import find_model, model_title
from lvs_ros.options import PipelineOptions
from lvs_ros.provenance import provenance

OFFSET_ROWS = ('clockwork', 'deep_feature_flow', 'fixed')
"""Rows of the fixed schedule that propagate."""

DURATION_ROWS = ('per_frame', 'small_per_frame', 'low_latency')
"""Rows of the curve over the duration of the full network; two of them look ahead, too."""

TIMELINE_ROWS = ('low_latency', 'adaptive')
"""Rows that ask for the deviation, the first choice first."""


_DEVIATION, _OFFSETS, _REFINED = 'deviation', 'offsets', 'refined masks'
_THRESHOLDS, _DURATIONS = 'sweep of the threshold', 'sweep of the duration'
"""Parts of an evaluation beside its rows, as ``missing`` names them."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be measured.

    :param rows: names of rows; the per-frame network is added where it is not among them
    :param options: of all rows
    :param slow_delay_s: simulated duration of S_h; None = it takes as long as it takes
    :param offsets: the protocol of :mod:`~lvs_ros.evaluation.offsets` too
    :param full_s: simulated duration of the full network; None = as follows from that of S_h
    :param thresholds: of the sweep; None = no sweep
    :param durations_s: of the full network, for the curve over them; None = no curve
    :param seed: of the bootstrap
    :param refined_mask: low_latency with refined masks too; needs ``slow_delay_s``
    """

    rows: tuple[str, ...]
    options: PipelineOptions
    slow_delay_s: Optional[float] = None
    offsets: bool = False
    full_s: Optional[float] = None
    thresholds: Optional[tuple[float, ...]] = None
    durations_s: Optional[tuple[float, ...]] = None
    seed: int = 0
    refined_mask: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, 'rows', tuple(
            name for name in ROWS if name in self.rows or name == REFERENCE))

    @property
    def simulated(self) -> bool:
        """S_h takes a simulated time, in place of the time it really takes."""
        return self.slow_delay_s is not None


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What was measured.

    :param about: how and where, as it stands at the top of evaluation.json
    :param missing: rows, and other parts of the plan, that are not there yet
    :param runs: of the rows, in the order of ``rows``
    :param reference: the per-frame network's run
    :param offsets: None = not asked for, or not there yet; so are the others that can be None
    :param perfect_miou: streaming mIoU of the labels themselves, one frame old; without labels,
        of the per-frame network's masks; None = no two labelled frames follow each other
    :param durations: streaming mIoU over ``plan.durations_s`` by the name of the row
    """

    plan: Plan
    dataset: Dataset
    about: dict[str, Any]
    reference: RowRun
    perfect_miou: Optional[float]
    missing: tuple[str, ...] = ()
    rows: tuple[RowSummary, ...] = ()
    runs: tuple[RowRun, ...] = ()
    pairs: Sequence[DeviationPair] = ()
    offsets: Optional[Sequence[OffsetsSummary]] = None
    sweep: Optional[Sweep] = None
    durations: Optional[dict[str, list[float]]] = None
    refined: Optional[RefinedSummary] = None

    @property
    def is_labelled(self) -> bool:
        """Whether it measures accuracy; else agreement with the per-frame network."""
        return self.dataset.is_labelled

    @property
    def drives(self) -> list[DriveScore]:
        """The accuracy on each drive."""
        return by_drive(self.dataset, self.runs)

    @property
    def questioned(self) -> RowRun:
        """The row whose worst frames are named, and whose key frames are drawn."""
        runs = {run.name: run for run in self.runs}
        return next((runs[name] for name in (*TIMELINE_ROWS, *reversed(runs)) if name in runs
                     and name != REFERENCE), self.reference)

    @property
    def worst_frames(self) -> list[WorstFrame]:
        """The frames with the smallest share of right pixels in that row."""
        return worst_frames(self.dataset, self.questioned, self.reference)

    @property
    def deviation_spearman(self) -> Optional[float]:
        """Predicted against true deviation, over all pairs; None where it is not defined."""
        return summary_of_pairs(self.pairs)['spearman']

    def as_dict(self) -> dict[str, Any]:
        """Return what stands in evaluation.json."""
        found = {**self.about, 'missing': self.missing,
                 'deviation_spearman': self.deviation_spearman,
                 'perfect_labels_one_frame_old': self.perfect_miou,
                 'rows': [dataclasses.asdict(row) for row in self.rows],
                 'drives': [dataclasses.asdict(drive) for drive in self.drives],
                 'worst_frames': {'row': self.questioned.name, 'frames': [
                     dataclasses.asdict(frame) for frame in self.worst_frames]},
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
        if self.refined is not None:
            found['refined_mask'] = dataclasses.asdict(self.refined)
        return found if self.is_labelled else named_agreement(found)


OnPart = Callable[[Evaluation], object]


def evaluate(plan: Plan, dataset: Dataset, clock: Clock, *, progress: Optional[Progress] = None,
             on_part: OnPart = lambda evaluation: None) -> Evaluation:
    """Measure everything that the plan asks for.

    :param progress: told of every frame; None = nobody is
    :param on_part: called with what there is after each row, and after each other part
    :raises LvsError: for data, a model or an option that cannot work.
    """
    for name in plan.rows:
        # weights that are not there shall show before anything is run
        if ROWS[name].rival is not None:
            build_row(name, plan.options).close()
    progress = progress or Progress()
    runner = Runner(dataset, plan.options, clock, plan.slow_delay_s, plan.full_s, progress)
    summariser = Summariser(dataset, runner.reference, seed=plan.seed)
    found = Evaluation(plan, dataset, _about(plan, dataset, runner.reference, summariser),
                       runner.reference, _perfect_miou(runner, dataset), missing=_parts(plan))

    def keep(part: str, **values: Any) -> None:
        nonlocal found
        found = dataclasses.replace(
            found, missing=tuple(name for name in found.missing if name != part), **values)
        on_part(found)

    for name in (REFERENCE, *(name for name in plan.rows if name != REFERENCE)):
        run = runner.run(name)
        runs = {one.name: one for one in (*found.runs, run)}
        rows = {one.name: one for one in (*found.rows, summariser.summarise(run))}
        order = [one for one in plan.rows if one in runs]
        keep(name, runs=tuple(runs[one] for one in order), rows=tuple(rows[one] for one in order))
    progress.begin('deviation')
    keep(_DEVIATION, pairs=deviation_pairs(plan.options, dataset, runner.reference))
    if plan.offsets:
        keep(_OFFSETS, offsets=[run_offsets(name, plan.options, dataset, progress)
                                for name in plan.rows if name in OFFSET_ROWS])
    if plan.thresholds is not None:
        for sweep in sweep_threshold(runner, summariser, thresholds=plan.thresholds):
            keep('', sweep=sweep)
        keep(_THRESHOLDS)
    if plan.durations_s is not None:
        for durations in sweep_duration(runner, _duration_rows(plan), plan.durations_s):
            keep('', durations=dict(durations))
        keep(_DURATIONS)
    if plan.refined_mask:
        assert plan.slow_delay_s is not None
        keep(_REFINED, refined=run_refined(plan.options, dataset, plan.slow_delay_s, progress))
    return found


def _parts(plan: Plan) -> tuple[str, ...]:
    """Name everything that is to be measured."""
    return (*plan.rows, _DEVIATION, *[_OFFSETS] * plan.offsets,
            *[_THRESHOLDS] * (plan.thresholds is not None),
            *[_DURATIONS] * (plan.durations_s is not None),
            *[_REFINED] * plan.refined_mask)


def _duration_rows(plan: Plan) -> list[str]:
    return [name for name in DURATION_ROWS if name in plan.rows]


def frames_to_run(plan: Plan, dataset: Dataset) -> int:
    """Count the frames of all runs, for the progress."""
    runs = len(plan.rows) + plan.refined_mask
    if plan.thresholds is not None:
        runs += 2 * len(plan.thresholds) + len(INTERVALS)
    runs += len(_duration_rows(plan)) * len(plan.durations_s or ())
    interval = plan.options.fixed_interval
    offsets = 0 if not plan.offsets else (
        sum(name in OFFSET_ROWS for name in plan.rows) * frames_of_offsets(interval)
        * sum(map(len, offset_targets(dataset, interval))))
    return runs * dataset.frame_count + offsets


def _perfect_miou(runner: Runner, dataset: Dataset) -> Optional[float]:
    classes = len(dataset.label_set)
    counts = sum((labels_one_frame_old(runner.targets(number, drive.load()), classes)
                  for number, drive in enumerate(dataset.drives)),
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
        'labels': 'those of the data' if dataset.is_labelled else
                  f'none: agreement with {REFERENCE}',
        'model': model_title(model),
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
        **provenance(),
    }


def machine_name(device: str) -> str:
    """Return what kind of processor or GPU a device is."""
    if device.startswith('cuda'):
        return torch.cuda.get_device_name(torch.device(device))
    text = pathlib.Path('/proc/cpuinfo').read_text(encoding='utf-8', errors='replace')
    match = re.search(r'^model name\s*:\s*(.+)$', text, re.MULTILINE)
    return match[1] if match else platform.machine()
