# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The picture of a training: the losses and the learning rate of every stage over its steps."""

import pathlib
from typing import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from lvs_ros.plots import new_figure, save_figure
from lvs_ros.training.best import NAMES
from lvs_ros.training.stage_log import (Record, ValidationRecord, read_records,
                                        read_validations)

CURVES = 'curves.png'


def plot_curves(folder: pathlib.Path) -> None:
    """Draw ``curves.png`` from all logs in a folder, a row a stage, in the order they began.

    Losses on the left; on the right, where something is held out, what was measured on it.
    Does nothing where there is no record yet.
    """
    logs = {path.stem: list(read_records(path)) for path in folder.glob('*.jsonl')}
    stages = sorted((name for name, records in logs.items() if records),
                    key=lambda name: (logs[name][0].date, name))
    if not stages:
        return
    validations = {name: list(read_validations(folder / f'{name}.jsonl')) for name in stages}
    columns = 2 if any(validations.values()) else 1
    figure = new_figure(10 if columns == 1 else 15, 3.4 * len(stages) + 0.3)
    panels = figure.subplots(len(stages), columns, squeeze=False, sharex='row')
    for row, stage in zip(panels, stages):
        _draw_stage(row[0], stage, logs[stage], validations[stage])
        if columns == 2:
            _draw_held_out(row[1], validations[stage])
    for panel in panels[-1]:
        panel.set_xlabel('step')
    save_figure(folder / CURVES, figure)


def smoothed(values: np.ndarray) -> np.ndarray:
    """Return the mean over a window of a twentieth of the length around each value.

    :param values: (N,) float; NaN, and what is not finite, is left out of the means
    """
    reach = len(values) // 40
    finite = np.isfinite(values)
    window = np.ones(2 * reach + 1)
    # 'full' and not 'same', which is as long as the longer of the two
    inside = slice(reach, reach + len(values))
    totals = np.convolve(np.where(finite, values, 0.0), window)[inside]
    counts = np.convolve(finite.astype(float), window)[inside]
    return np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)


def _draw_stage(axes: Axes, stage: str, records: Sequence[Record],
                validations: Sequence[ValidationRecord]) -> None:
    steps = np.array([record.step for record in records])
    rate_axes = axes.twinx()
    rate_axes.plot(steps, [record.learning_rate for record in records], color='0.55',
                   linestyle=':', linewidth=1.2, label='learning rate (right)')
    rate_axes.set_ylim(bottom=0)
    rate_axes.ticklabel_format(axis='y', style='sci', scilimits=(0, 0), useMathText=True)
    rate_axes.tick_params(colors='0.45', labelsize='small')
    # The losses lie over the learning rate, and so does their legend.
    axes.set_zorder(rate_axes.get_zorder() + 1)
    axes.patch.set_visible(False)

    names = list(dict.fromkeys(name for record in records for name in record.losses))
    marker = 'o' if len(steps) < 20 else None
    for index, name in enumerate(names):
        values = np.array([record.losses.get(name, np.nan) for record in records])
        axes.plot(steps, values, color=f'C{index}', alpha=0.3, linewidth=0.8)
        axes.plot(steps, smoothed(values), color=f'C{index}', linewidth=1.8, marker=marker,
                  markersize=3, label=name)
    for name in names:    # the same loss on what is held out
        points = [(one.step, one.measured.values[name]) for one in validations
                  if name in one.measured.values]
        if points:
            axes.plot(*zip(*points), color='black', linestyle='--', linewidth=1.4, marker='.',
                      label=f'{name}, held out')
    _scale(axes, np.array([value for record in records for value in record.losses.values()]))

    axes.set_title(f'{stage}: {_extent(records)}', loc='left', fontsize='medium')
    axes.set_ylabel('loss')
    axes.margins(x=0.01)
    axes.set_xlim(left=0)
    axes.grid(alpha=0.25, which='both')
    handles = [line for part in (axes, rate_axes)
               for line in part.get_legend_handles_labels()[0]]
    axes.legend(handles=handles, loc='best', fontsize='small', framealpha=0.9)


def _draw_held_out(axes: Axes, validations: Sequence[ValidationRecord]) -> None:
    if not validations:
        axes.set_axis_off()
        return
    steps = np.array([one.step for one in validations])
    measured = validations[-1].measured
    for index, name in enumerate(measured.classes):
        values = np.array([one.measured.classes.get(name, np.nan) for one in validations])
        if np.isfinite(values).any():
            axes.plot(steps, 100 * values, color=f'C{index}', alpha=0.8, linewidth=1.0,
                      linestyle=('-', '--', ':')[index // 10 % 3], label=name)
    values = np.array([one.measured.value for one in validations])
    label = NAMES[measured.measure]
    axes.plot(steps, 100 * values, color='black', linewidth=2.2, marker='o', markersize=3,
              label=label)
    best = validations[-1].best_step
    at_best = [one.measured.value for one in validations if one.step == best]
    if at_best:
        axes.plot(best, 100 * at_best[-1], '*', color='gold', markeredgecolor='black',
                  markersize=15, clip_on=False, zorder=5,
                  label=f'best: {100 * at_best[-1]:.1f} % at step {best}')
    axes.set_title(f'held out: {label}' + (', and IoU of each class' if measured.classes else ''),
                   loc='left', fontsize='medium')
    axes.set_ylabel('%')
    axes.set_ylim(0, 100 if measured.classes or not measured.falls else None)
    axes.grid(alpha=0.25)
    # beside the panel: curves of many classes leave no room in it
    axes.legend(loc='upper left', bbox_to_anchor=(1.0, 1.0), fontsize='small', frameon=False)


def _extent(records: Sequence[Record]) -> str:
    last = records[-1]
    minutes = last.time_s / 60
    spent = f'{minutes / 60:.1f} h' if minutes >= 90 else f'{minutes:.0f} min'
    skipped = f', {last.skipped_steps} skipped' if last.skipped_steps else ''
    return f'{last.step} steps in {spent}{skipped}'


def _scale(axes: Axes, values: np.ndarray) -> None:
    """Choose a logarithmic axis for losses that fall, or differ, by more than three times."""
    values = values[np.isfinite(values)]
    if values.size and values.min() > 0 and values.max() > 3 * values.min():
        axes.set_yscale('log')
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _position: f'{value:g}'))
        axes.yaxis.set_minor_formatter(NullFormatter())
