# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Plots of a run: predicted deviation, threshold and key frames over time (the paper's Fig. 2)."""

import dataclasses
import io
import pathlib
from typing import Optional, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lvs_ros.staging import write_whole


@dataclasses.dataclass(frozen=True)
class DeviationSample:
    """What the plot shows of one frame.

    :param time_s: seconds from the first frame
    :param deviation: predicted deviation, 0..1; None where none was computed
    :param threshold: the threshold in force, 0..1
    :param key_frame: the frame became the key frame
    :param true_deviation: 0..1; None where it is not known
    """

    time_s: float
    deviation: Optional[float]
    threshold: float
    key_frame: bool
    true_deviation: Optional[float] = None


def plot_deviation(path: pathlib.Path, samples: Sequence[DeviationSample], *,
                   title: str = '') -> None:
    """Draw predicted and, where it is known, true deviation, threshold and key frames over time.

    :param path: PNG file to be written
    :param samples: one a frame, in order
    :param title: shown above
    """
    times = np.array([sample.time_s for sample in samples])
    # None becomes nan, which is not drawn
    deviations = np.array([sample.deviation for sample in samples], float)
    true_deviations = np.array([sample.true_deviation for sample in samples], float)
    thresholds = np.array([sample.threshold for sample in samples])
    key = np.array([sample.key_frame for sample in samples], bool)

    figure = new_figure(10, 4)
    axes = figure.add_subplot()
    is_predicted, is_known = np.isfinite(deviations).any(), np.isfinite(true_deviations).any()
    # some room above the curves, where the legend goes
    highest = np.nanmax([*deviations, *true_deviations, 0.05,
                         *(thresholds if is_predicted else ())])
    top = min(1.3 * highest, 1.05)
    axes.vlines(times[key], 0, top, color='tab:green', linewidth=0.8, alpha=0.5,
                label=f'key frame ({key.sum()} of {len(samples)})')
    if is_known:
        axes.plot(times, true_deviations, color='tab:orange', linewidth=1.2, marker='.',
                  markersize=3, label='true deviation from the key frame')
    if is_predicted:
        axes.plot(times, deviations, color='tab:blue', linewidth=1.2, marker='.', markersize=3,
                  label='predicted deviation from the key frame')
        axes.plot(times[key], deviations[key], 'o', color='tab:green', markersize=4)
        axes.step(times, thresholds, where='post', color='tab:red', linestyle='--',
                  linewidth=1.2, label='threshold')
    else:
        axes.text(0.5, 0.5, 'this schedule computes no deviation', ha='center', va='center',
                  color='0.4', transform=axes.transAxes)
    axes.set(xlabel='time (s)', ylabel='fraction of pixels whose label differs',
             ylim=(0, top), title=title)
    axes.margins(x=0.01)
    axes.grid(alpha=0.25)
    # in two columns it stays above the curves
    axes.legend(loc='upper right', fontsize='small', framealpha=0.9,
                ncols=2 if is_known else 1)
    save_figure(path, figure)


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure of a size in inches.

    Without pyplot: no global state, no window system, usable from any thread.
    """
    figure = Figure(figsize=(width, height), layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def save_figure(path: pathlib.Path, figure: Figure) -> None:
    """Write a figure as PNG; the file is complete or not there."""
    picture = io.BytesIO()
    figure.savefig(picture, format='png', dpi=120)
    write_whole(path, picture.getvalue())
