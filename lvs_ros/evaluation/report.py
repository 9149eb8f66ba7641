# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The files of an evaluation."""

import csv
import pathlib

from lvs_ros.evaluation.deviation import deviation_samples
from lvs_ros.evaluation.evaluation import TIMELINE_ROWS, Evaluation
from lvs_ros.evaluation.figures import plot_durations, plot_scatter, plot_strip, plot_sweep
from lvs_ros.evaluation.tables import markdown
from lvs_ros.json_files import write_json
from lvs_ros.plots import plot_deviation

JSON, FRAMES, MARKDOWN = 'evaluation.json', 'frames.csv', 'evaluation.md'
SWEEP, SCATTER, TIMELINE, STRIP = 'sweep.png', 'scatter.png', 'deviation.png', 'masks.png'
DURATIONS = 'streaming.png'


def write_report(folder: pathlib.Path, evaluation: Evaluation) -> None:
    """Write all files.

    :param folder: exists not yet; its parent does
    """
    folder.mkdir()
    pictures = _write_pictures(folder, evaluation)
    write_json(folder / JSON, evaluation.as_dict())
    (folder / MARKDOWN).write_text(markdown(evaluation, pictures), encoding='utf-8')
    _write_frames(folder / FRAMES, evaluation)


def _write_pictures(folder: pathlib.Path, evaluation: Evaluation) -> list[tuple[str, str]]:
    """Draw what there is; return file names and captions."""
    about = evaluation.about
    title = f'{about["model"]} on {about["dataset"]}'
    pictures = []
    if evaluation.sweep is not None:
        plot_sweep(folder / SWEEP, evaluation.sweep,
                   title=f'{title} ({about["machine"]}); at the points: thresholds, intervals')
        pictures.append((SWEEP, 'Accuracy against key-frame rate and time'))
    if evaluation.durations is not None:
        assert evaluation.plan.durations_s is not None
        plot_durations(folder / DURATIONS, evaluation.durations, evaluation.plan.durations_s,
                       perfect_miou=evaluation.perfect_miou, title=title)
        pictures.append((DURATIONS, 'Streaming mIoU against the duration of the full network'))
    if evaluation.pairs:
        plot_scatter(folder / SCATTER, evaluation.pairs, title=title,
                     threshold=evaluation.plan.options.threshold)
        pictures.append((SCATTER, 'Predicted against true deviation'))
    runs = {run.name: run for run in evaluation.runs}
    run = next((runs[name] for name in TIMELINE_ROWS if name in runs), None)
    if run is not None:
        plot_deviation(folder / TIMELINE, deviation_samples(run, evaluation.reference),
                       title=f'{title}, {run.title}')
        pictures.append((TIMELINE, 'Deviation, threshold and key frames over time'))
    plot_strip(folder / STRIP, evaluation.dataset, evaluation.runs)
    pictures.append((STRIP, 'Image, labels and masks of three frames'))
    return pictures


def _write_frames(path: pathlib.Path, evaluation: Evaluation) -> None:
    with open(path, 'w', encoding='utf-8', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(('row', 'drive', 'frame', 'time_s', 'latency_ms', 'compute_ms',
                         'key_frame', 'deviation', 'newest'))
        for run in evaluation.runs:
            writer.writerows(
                (run.name, evaluation.dataset.drives[frame.drive].frames[0].sequence,
                 frame.index, frame.stamp_ns / 1e9, frame.latency_ms, frame.compute_ms,
                 int(frame.status.key_frame), frame.status.deviation, frame.newest)
                for frame in run.frames)
