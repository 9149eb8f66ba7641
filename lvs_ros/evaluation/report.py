# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The files of an evaluation."""

import csv
import pathlib
from typing import Any, Iterable, Mapping

from lvs_ros.evaluation.deviation import deviation_samples
from lvs_ros.evaluation.evaluation import Evaluation
from lvs_ros.evaluation.figures import plot_scatter, plot_strip, plot_sweep
from lvs_ros.evaluation.tables import markdown
from lvs_ros.json_files import write_json
from lvs_ros.plots import plot_deviation

JSON, CSV, FRAMES, MARKDOWN = ('evaluation.json', 'evaluation.csv', 'frames.csv',
                               'evaluation.md')
SWEEP, SCATTER, TIMELINE, STRIP = 'sweep.png', 'scatter.png', 'deviation.png', 'masks.png'


def write_report(folder: pathlib.Path, evaluation: Evaluation) -> None:
    """Write all files.

    :param folder: exists not yet; its parent does
    """
    folder.mkdir()
    pictures = _write_pictures(folder, evaluation)
    write_json(folder / JSON, evaluation.as_dict())
    (folder / MARKDOWN).write_text(markdown(evaluation, pictures), encoding='utf-8')
    _write_csv(folder / CSV, [_flat(row) for row in evaluation.as_dict()['rows']])
    _write_csv(folder / FRAMES, _frames(evaluation))


def _write_pictures(folder: pathlib.Path, evaluation: Evaluation) -> list[tuple[str, str]]:
    """Draw what there is; return file names and captions."""
    about = evaluation.about
    title = f'{about["model"]} on {about["dataset"]}'
    pictures = []
    if evaluation.sweep is not None:
        plot_sweep(folder / SWEEP, evaluation.sweep,
                   title=f'{title} ({about["machine"]}); at the points: thresholds, intervals')
        pictures.append((SWEEP, 'Accuracy against key-frame rate and time'))
    if evaluation.pairs:
        plot_scatter(folder / SCATTER, evaluation.pairs, title=title,
                     threshold=evaluation.plan.options.threshold)
        pictures.append((SCATTER, 'Predicted against true deviation'))
    for run in evaluation.runs:
        if run.name == evaluation.timeline_row:
            plot_deviation(folder / TIMELINE, deviation_samples(run, evaluation.reference),
                           title=f'{title}, {run.title}')
            pictures.append((TIMELINE, 'Deviation, threshold and key frames over time'))
    plot_strip(folder / STRIP, evaluation.dataset, evaluation.runs)
    pictures.append((STRIP, 'Image, labels and masks of three frames'))
    return pictures


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with its settings and classes as columns of their own."""
    settings, classes = row['settings'], row['iou']
    return {**{name: value for name, value in row.items() if name not in ('settings', 'iou')},
            **settings, **{f'iou {name}': value for name, value in classes.items()}}


def _frames(evaluation: Evaluation) -> list[dict[str, Any]]:
    return [{'row': run.name, 'drive': evaluation.dataset.drives[frame.drive].frames[0].sequence,
             'frame': frame.index, 'time_s': frame.stamp_ns / 1e9,
             'latency_ms': frame.latency_ms, 'compute_ms': frame.compute_ms,
             'key_frame': int(frame.status.key_frame), 'deviation': frame.status.deviation}
            for run in evaluation.runs for frame in run.frames]


def _write_csv(path: pathlib.Path, rows: Iterable[Mapping[str, Any]]) -> None:
    rows = list(rows)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with open(path, 'w', encoding='utf-8', newline='') as file:
        writer = csv.DictWriter(file, columns, lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)
