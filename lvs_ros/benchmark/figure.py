# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The picture of a benchmark: what a frame's time is made of, in full and on the fast track."""

import pathlib
import textwrap

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
import numpy as np

from lvs_ros.benchmark.benchmark import Benchmark
from lvs_ros.benchmark.stages import SHOWN_ROWS, STAGE_TITLES, stages_of
from lvs_ros.plots import save_figure

_LEAST_LABELLED = 0.04    # of the longest bar
_TITLE_COLUMNS = 100
_MARKS = {'p50': ('|', 'black'), 'p99': ('|', 'tab:red'), 'worst': ('x', 'tab:red')}


def plot_stages(path: pathlib.Path, benchmark: Benchmark, *, title: str) -> None:
    """Draw a bar a row, made of the medians of its stages, with marks for its percentiles.

    :param path: PNG file to be written
    """
    rows = [benchmark.rows[name] for name in SHOWN_ROWS]
    titles = [name.format(rate=f'{benchmark.plan.rate_hz:g} Hz') for name in SHOWN_ROWS.values()]
    figure = Figure(figsize=(11, 5), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    least_labelled_ms = _LEAST_LABELLED * max(row.step_ms.worst for row in rows)
    left_ms = np.zeros(len(rows))
    for number, stage in enumerate(stages_of(benchmark.rows)):
        widths_ms = np.nan_to_num([row.stage_ms.get(stage, np.nan) for row in rows])
        bars = axes.barh(titles, widths_ms, left=left_ms, height=0.62,
                         label=STAGE_TITLES.get(stage, stage),
                         color=matplotlib.colormaps['tab20'](number))
        axes.bar_label(bars, [f'{width_ms:.1f}' if width_ms > least_labelled_ms else ''
                              for width_ms in widths_ms], label_type='center', fontsize='x-small')
        left_ms = left_ms + widths_ms
    for mark, (marker, colour) in _MARKS.items():
        axes.plot([getattr(row.step_ms, mark) for row in rows], titles, linestyle='none',
                  marker=marker, color=colour, markersize=12, label=f'{mark} of all frames')
    axes.invert_yaxis()
    axes.set_xlabel('milliseconds a frame; the parts are medians')
    axes.set_title(textwrap.fill(title, _TITLE_COLUMNS), fontsize='medium')
    figure.legend(loc='outside lower center', ncols=5, fontsize='small', frameon=False)
    save_figure(path, figure)
