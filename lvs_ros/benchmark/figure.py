# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The picture of a benchmark: what a frame's time is made of, on each track."""

from __future__ import annotations

import dataclasses
import pathlib
import textwrap
from typing import Any, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lvs_ros.benchmark.benchmark import Benchmark
from lvs_ros.benchmark.durations import Durations
from lvs_ros.benchmark.findings import once_in_full
from lvs_ros.benchmark.stages import OF_MESSAGES, STAGES
from lvs_ros.benchmark.tables import FULL_STAGES, full_stages
from lvs_ros.benchmark.tracks import Track
from lvs_ros.plots import save_figure

_WAIT, _PROPAGATION = 'waiting for the cores', 'propagation, all of it'
_REST = 'between and behind them'
_STEP_STAGES = {'wait': _WAIT, 'input': STAGES['input'], 'low': STAGES['low'],
                'deviation': STAGES['deviation'], 'propagation': _PROPAGATION,
                'classify': STAGES['classifier'], 'output': STAGES['output'],
                'rest': _REST}
"""Titles of the stages that the pipeline tells of a propagated frame."""

_COLOURS = {
    _WAIT: '0.82', STAGES['input']: '0.45', STAGES['low']: '#1f77b4', FULL_STAGES['propagation']:
    '#d62728', STAGES['deviation']: '#9467bd', STAGES['flow']: '#17becf',
    STAGES['alignment']: '#8dd3dc', STAGES['kernels']: '#2ca02c',
    STAGES['convolution']: '#98df8a', STAGES['adapt_net']: '#5a7d2b', _PROPAGATION: '#6fbf73',
    STAGES['classifier']: '#ff7f0e', STAGES['output']: '#f2c14e',
    _REST: '0.65'}
_LEAST_LABELLED = 0.045    # of the width
_TITLE_COLUMNS = 100


@dataclasses.dataclass(frozen=True)
class _Bar:
    """One bar.

    :param stages_ms: title and milliseconds of each part
    :param total_ms: what the parts are the parts of
    """

    title: str
    stages_ms: Mapping[str, float]
    total_ms: Durations


def plot_stages(path: pathlib.Path, benchmark: Benchmark, *, title: str) -> None:
    """Draw a frame of each track, and the fast ones again at a larger scale.

    :param path: PNG file to be written
    """
    bars = _bars(benchmark)
    figure = Figure(figsize=(11, 6), layout='constrained')
    FigureCanvasAgg(figure)
    everything, fast = figure.subplots(2, 1, height_ratios=(3, 2))
    _draw(everything, bars)
    _draw(fast, bars[1:])
    fast.set_xlabel('milliseconds a frame; the parts are medians')
    everything.set_title(textwrap.fill(title, _TITLE_COLUMNS), fontsize='medium')
    shown = {stage for bar in bars for stage in bar.stages_ms}
    figure.legend(handles=[*(Patch(facecolor=colour, label=stage)
                             for stage, colour in _COLOURS.items() if stage in shown),
                           *_marks()],
                  loc='outside lower center', ncols=5, fontsize='small', frameon=False)
    save_figure(path, figure)


def _bars(benchmark: Benchmark) -> list[_Bar]:
    """Return the bars, the longest first."""
    tracks = benchmark.tracks
    return [
        _Bar('full network,\nS_h once', {FULL_STAGES[stage]: value
                                         for stage, value in full_stages(benchmark).items()},
             once_in_full(benchmark).step_ms),
        _told(f'fast track while\nS_h runs, {benchmark.plan.rate_hz:g} Hz',
              tracks['fast_contended']),
        _told('fast track while\nS_h runs, no pause', tracks['fast_contended_back_to_back']),
        _Bar('fast track alone', {STAGES[stage]: value
                                  for stage, value in benchmark.stages_ms.items()
                                  if stage not in OF_MESSAGES}, tracks['fast_alone'].step_ms)]


def _told(title: str, track: Track) -> _Bar:
    """Return the stages that the pipeline itself tells."""
    return _Bar(title, {part: track.stages_ms[stage] for stage, part in _STEP_STAGES.items()},
                track.step_ms)


def _draw(axes: Axes, bars: Sequence[_Bar]) -> None:
    longest_ms = max(max(bar.total_ms.worst, sum(bar.stages_ms.values())) for bar in bars)
    for row, bar in enumerate(bars):
        left_ms = 0.0
        for stage, value_ms in bar.stages_ms.items():
            axes.barh(row, value_ms, left=left_ms, height=0.62, color=_COLOURS[stage],
                      edgecolor='white', linewidth=0.5)
            if value_ms > _LEAST_LABELLED * longest_ms:
                axes.text(left_ms + value_ms / 2, row, f'{value_ms:.1f}', ha='center',
                          va='center', fontsize='x-small')
            left_ms += value_ms
        axes.plot(bar.total_ms.p50, row, **_MARKS['p50'])
        axes.plot(bar.total_ms.p99, row, **_MARKS['p99'])
        axes.plot(bar.total_ms.worst, row, **_MARKS['worst'])
    axes.set_yticks(range(len(bars)), [bar.title for bar in bars])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.04 * longest_ms)
    axes.grid(axis='x', alpha=0.25)
    axes.set_axisbelow(True)


_MARKS: dict[str, dict[str, Any]] = {
    'p50': {'marker': '|', 'color': 'black', 'markersize': 26, 'linestyle': 'none'},
    'p99': {'marker': '|', 'color': 'tab:red', 'markersize': 26, 'linestyle': 'none'},
    'worst': {'marker': 'x', 'color': 'tab:red', 'markersize': 6, 'linestyle': 'none'}}


def _marks() -> list[Line2D]:
    return [Line2D([], [], label=f'{name} of all frames', **{**style, 'markersize': 10})
            for name, style in _MARKS.items()]
