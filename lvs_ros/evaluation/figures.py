# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The pictures of an evaluation."""

import pathlib
from typing import Mapping, Optional, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from lvs_ros.evaluation.dataset import Dataset
from lvs_ros.evaluation.deviation import DeviationPair, spearman
from lvs_ros.evaluation.rows import ROWS
from lvs_ros.evaluation.run import RowRun
from lvs_ros.evaluation.sweep import ADAPTIVE, FIXED, LOW_LATENCY, CurvePoint, Sweep
from lvs_ros.labels import LabelSet
from lvs_ros.packed_mask import unpack
from lvs_ros.plots import new_figure, save_figure

_STYLES = {FIXED: ('0.4', 's', (6, -9)), ADAPTIVE: ('tab:blue', 'o', (-6, 4)),
           LOW_LATENCY: ('tab:orange', '^', (6, -9))}
"""Colour, marker, and where the point's label stands, in points from it."""

_DURATION_STYLES = {'per_frame': ('0.4', '-'), 'small_per_frame': ('tab:green', '-'),
                    'small_per_frame_forecast': ('tab:green', '--'),
                    'low_latency': ('tab:orange', '-'),
                    'low_latency_forecast': ('tab:orange', '--')}
"""Colour and line of rows over the duration of the full network; dashed: looking ahead."""

_STRIP_FRAMES = 3
_STRIP_ROWS = 4
_STRIP_PREFERRED = ('per_frame', 'low_latency', 'deep_feature_flow', 'small_per_frame')


def plot_sweep(path: pathlib.Path, sweep: Sweep, *, title: str, measure: str = 'mIoU') -> None:
    """Draw accuracy against key-frame rate and against mean compute time.

    :param measure: what the accuracy is called
    """
    figure = new_figure(11, 4.6)
    by_rate, by_time = figure.subplots(1, 2, sharey=True)
    for name, points in sweep.curves.items():
        _curve(by_rate, name, points, [100 * point.row.key_rate for point in points])
        _curve(by_time, name, points, [point.row.compute_mean_ms for point in points])
    by_rate.set(xlabel='key frames (% of the frames)', ylabel=f'{measure} (%)', xlim=(0, 106))
    by_time.set(xlabel='mean compute time of a frame (ms)')
    by_time.margins(x=0.08)
    by_time.set_xlim(left=0)
    for axes in (by_rate, by_time):
        axes.grid(alpha=0.25)
    figure.legend(*by_rate.get_legend_handles_labels(), loc='outside lower center', ncols=3,
                  fontsize='small', frameon=False)
    figure.suptitle(title, fontsize='medium')
    save_figure(path, figure)


def plot_durations(path: pathlib.Path, curves: Mapping[str, Sequence[float]],
                   durations_s: Sequence[float], *, perfect_miou: Optional[float], title: str,
                   measure: str = 'mIoU') -> None:
    """Draw the streaming mIoU of rows over the duration of the full network.

    :param curves: 0..1, by the name of the row
    :param perfect_miou: of masks without a fault, one frame old
    :param measure: what the accuracy is called
    """
    figure = new_figure(7.5, 4.4)
    axes = figure.add_subplot()
    for name, values in curves.items():
        colour, style = _DURATION_STYLES.get(name, ('0.5', '-'))
        axes.plot([1e3 * value for value in durations_s], [100 * value for value in values],
                  color=colour, linestyle=style, marker='o', markersize=4, linewidth=1.5,
                  label=ROWS[name].title)
    if perfect_miou is not None:
        axes.axhline(100 * perfect_miou, color='0.3', linestyle=':', linewidth=1.2,
                     label='masks without a fault, one frame old')
    axes.set(xlabel='duration of the full network (ms)', ylabel=f'streaming {measure} (%)',
             title=title)
    axes.set_xlim(left=0)
    axes.grid(alpha=0.25)
    axes.legend(fontsize='small', framealpha=0.9)
    save_figure(path, figure)


def plot_scatter(path: pathlib.Path, pairs: Sequence[DeviationPair], *, threshold: float,
                 title: str) -> None:
    """Draw predicted against true deviation, coloured by the distance of the two frames."""
    figure = new_figure(6.2, 6.4)
    axes = figure.add_subplot()
    distances = sorted({pair.distance for pair in pairs})
    # without the palest end, which is hard to see on white
    colours = colormaps['viridis'](np.linspace(0, 0.92, len(distances)))
    for distance, colour in zip(distances, colours):
        chosen = [pair for pair in pairs if pair.distance == distance]
        true, predicted = values_of(chosen)
        axes.scatter(true, predicted, s=9, color=colour, alpha=0.75, linewidths=0,
                     label=f'{distance} (ρ = {spearman(true, predicted):.2f})')
    top = 1.08 * max(0.05, *(max(pair.predicted, pair.true) for pair in pairs))
    axes.plot([0, top], [0, top], color='0.6', linewidth=0.8, zorder=0)
    if threshold < top:
        axes.axhline(threshold, color='tab:red', linestyle='--', linewidth=1,
                     label=f'threshold {threshold:g}')
    axes.set(xlabel='true deviation: pixels whose label differs', xlim=(0, top), ylim=(0, top),
             ylabel='predicted deviation', aspect='equal')
    overall = spearman(*values_of(pairs))
    axes.set_title(f'{title}\nSpearman ρ = {overall:.3f} over {len(pairs)} pairs',
                   fontsize='medium')
    axes.grid(alpha=0.25)
    axes.legend(title='frames apart', loc='upper left', fontsize='small', title_fontsize='small',
                framealpha=0.9, markerscale=2)
    save_figure(path, figure)


def plot_strip(path: pathlib.Path, dataset: Dataset, runs: Sequence[RowRun], *, title: str
               ) -> None:
    """Draw three frames: image, labels where there are some, and the masks of up to four rows."""
    shown = sorted(runs, key=lambda run: run.name not in _STRIP_PREFERRED)[:_STRIP_ROWS]
    frames = _strip_frames(dataset)
    columns = 1 + dataset.is_labelled + len(shown)
    height, width = frames[0][2].shape[:2]
    panel_width = 2.6
    figure = new_figure(panel_width * columns, panel_width * height / width * len(frames) + 0.75)
    axes = figure.subplots(len(frames), columns, squeeze=False,
                           gridspec_kw={'hspace': 0.02, 'wspace': 0.02})
    for line, (drive, index, image, labels) in zip(axes, frames):
        masks = [next(unpack(frame.packed_mask) for frame in run.frames
                      if (frame.drive, frame.index) == (drive, index)) for run in shown]
        pictures = [image] + [dataset.label_set.colourise(mask) for mask in
                              ([] if labels is None else [labels]) + masks]
        for cell, picture in zip(line, pictures):
            cell.imshow(picture, interpolation='antialiased')
    for cell, head in zip(axes[0], ['image', *['labels'] * dataset.is_labelled,
                                    *(run.title for run in shown)]):
        cell.set_title(head, fontsize='medium')
    figure.suptitle(title, fontsize='medium')
    for cell in axes.flat:
        cell.set_axis_off()
    _legend(figure, dataset.label_set, columns)
    save_figure(path, figure)


def values_of(pairs: Sequence[DeviationPair]) -> tuple[list[float], list[float]]:
    """Return true and predicted deviations."""
    return [pair.true for pair in pairs], [pair.predicted for pair in pairs]


def _curve(axes: Axes, name: str, points: Sequence[CurvePoint], x: Sequence[float]) -> None:
    colour, marker, place = _STYLES[name]
    y = [100 * point.row.miou for point in points]
    axes.plot(x, y, color=colour, marker=marker, markersize=5, linewidth=1.3,
              label=name.replace('_', '-'))
    for value_x, value_y, point in zip(x, y, points):
        axes.annotate(f'{point.setting:g}', (value_x, value_y), xytext=place,
                      ha='right' if place[0] < 0 else 'left', textcoords='offset points',
                      fontsize=7, color=colour)


def _strip_frames(dataset: Dataset) -> list[tuple[int, int, np.ndarray, Optional[np.ndarray]]]:
    """Return drive, index, image and labels of frames, labelled if any are, spread over all."""
    labelled = [(number, index) for number, drive in enumerate(dataset.drives)
                for index, frame in enumerate(drive.frames)
                if frame.label_path is not None or not dataset.is_labelled]
    places = np.linspace(0, len(labelled), _STRIP_FRAMES + 2)[1:-1].astype(int)
    found = []
    for number, index in dict.fromkeys(labelled[place] for place in places):
        image, labels = dataset.drives[number].frames[index].load()
        found.append((number, index, image, labels))
    return found


def _legend(figure: Figure, label_set: LabelSet, columns: int) -> None:
    patches = [Patch(facecolor=(red / 255, green / 255, blue / 255), edgecolor='0.6', label=name)
               for name, (red, green, blue) in zip((*label_set.names, 'unlabelled'),
                                                   (*label_set.colours, (0, 0, 0)))]
    figure.legend(handles=patches, loc='outside lower center',
                  ncols=min(len(patches), 3 * columns), fontsize='small', frameon=False,
                  handlelength=1.2)
