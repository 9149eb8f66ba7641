# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The picture of a training: the losses and the learning rate of every stage over its steps."""

import pathlib
from typing import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from lvs_ros.plots import new_figure, save_figure
from lvs_ros.training.stage_log import Record, read_records

CURVES = 'curves.png'


def plot_curves(folder: pathlib.Path) -> None:
    """Draw ``curves.png`` from all logs in a folder, one panel a stage, in the order they began.

    Does nothing where there is no record yet.
    """
    logs = {path.stem: list(read_records(path)) for path in folder.glob('*.jsonl')}
    stages = sorted((name for name, records in logs.items() if records),
                    key=lambda name: (logs[name][0].date, name))
    if not stages:
        return
    figure = new_figure(10, 3.4 * len(stages) + 0.3)
    panels = figure.subplots(len(stages), 1, squeeze=False)[:, 0]
    for panel, stage in zip(panels, stages):
        _draw_stage(panel, stage, logs[stage])
    panels[-1].set_xlabel('step')
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


def _draw_stage(axes: Axes, stage: str, records: Sequence[Record]) -> None:
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
    _scale(axes, np.array([value for record in records for value in record.losses.values()]))

    axes.set_title(f'{stage}: {_extent(records)}', loc='left', fontsize='medium')
    axes.set_ylabel('loss')
    axes.margins(x=0.01)
    axes.set_xlim(left=0)
    axes.grid(alpha=0.25, which='both')
    handles = [line for part in (axes, rate_axes)
               for line in part.get_legend_handles_labels()[0]]
    axes.legend(handles=handles, loc='upper right', fontsize='small', framealpha=0.9)


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
