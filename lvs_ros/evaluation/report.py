# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The files of an evaluation: written anew after each part, so that an interruption loses little.

Pictures are drawn in the end. What people look at is named after the model.
"""

import csv
import io
import pathlib
from typing import Any, Iterable, Optional, Sequence

from lvs_ros.evaluation.breakdown import frame_columns, frame_lines
from lvs_ros.evaluation.deviation import deviation_samples
from lvs_ros.evaluation.evaluation import TIMELINE_ROWS, Evaluation
from lvs_ros.evaluation.figures import plot_durations, plot_scatter, plot_strip, plot_sweep
from lvs_ros.evaluation.tables import markdown, measure, title_of
from lvs_ros.json_files import as_json
from lvs_ros.output_folder import check_output_folder, output_folder
from lvs_ros.plots import plot_deviation
from lvs_ros.staging import write_whole

JSON, FRAMES, DRIVES, MARKDOWN = 'evaluation.json', 'frames.csv', 'drives.csv', 'evaluation.md'
SWEEP, SCATTER, TIMELINE, STRIP = 'sweep.png', 'scatter.png', 'deviation.png', 'masks.png'
DURATIONS = 'streaming.png'


class Report:
    """The folder of an evaluation.

    :param path: of the folder; it is there from the first part on
    :param force: replace an earlier evaluation
    :raises ConfigurationError: when it exists and may not be replaced, or cannot be written
    """

    def __init__(self, path: pathlib.Path, *, force: bool = False) -> None:
        self.path, self._force = path, force
        self._is_there = False
        check_output_folder(path, marker=JSON, force=force)

    def write(self, evaluation: Evaluation) -> None:
        """Write all but the pictures."""
        if self._is_there:
            _write(self.path, evaluation, ())
            return
        with output_folder(self.path, marker=JSON, force=self._force) as folder:
            folder.mkdir()
            _write(folder, evaluation, ())
        self._is_there = True

    def finish(self, evaluation: Evaluation) -> None:
        """Draw the pictures, too."""
        _write(self.path, evaluation, _write_pictures(self.path, evaluation))


def _write(folder: pathlib.Path, evaluation: Evaluation, pictures: Sequence[tuple[str, str]]
           ) -> None:
    dataset, rows = evaluation.dataset, [row.name for row in evaluation.rows]
    files = {
        JSON: as_json(evaluation.as_dict()),
        FRAMES: _csv(frame_columns(dataset), (line for run in evaluation.runs
                                              for line in frame_lines(dataset, run))),
        DRIVES: _csv(['drive', 'frames', 'scored', *(
            f'{kind}{measure(evaluation)} of {name}' for kind in ('', 'streaming ')
            for name in rows)], (
            [drive.drive, drive.frames, drive.scored, *(
                _fraction(scores[name]) for scores in (drive.miou, drive.streaming_miou)
                for name in rows)] for drive in evaluation.drives)),
        f'{evaluation.about["model"]}_{MARKDOWN}': markdown(evaluation, pictures)}
    for name, text in files.items():
        write_whole(folder / name, text.encode())


def _write_pictures(folder: pathlib.Path, evaluation: Evaluation) -> list[tuple[str, str]]:
    """Draw what there is; return file names and captions."""
    about, title, measured = evaluation.about, title_of(evaluation), measure(evaluation)
    streaming, sweep, scatter, timeline, strip = (
        f'{about["model"]}_{name}' for name in (DURATIONS, SWEEP, SCATTER, TIMELINE, STRIP))
    pictures = []
    if evaluation.sweep is not None:
        plot_sweep(folder / sweep, evaluation.sweep, measure=measured,
                   title=f'{title} ({about["machine"]}); at the points: thresholds, intervals')
        pictures.append((sweep, f'{measured} against key-frame rate and time'))
    if evaluation.durations is not None:
        assert evaluation.plan.durations_s is not None
        plot_durations(folder / streaming, evaluation.durations, evaluation.plan.durations_s,
                       perfect_miou=evaluation.perfect_miou, title=title, measure=measured)
        pictures.append((streaming, f'Streaming {measured} against the duration of the full '
                                    'network'))
    if evaluation.pairs:
        plot_scatter(folder / scatter, evaluation.pairs, title=title,
                     threshold=evaluation.plan.options.threshold)
        pictures.append((scatter, 'Predicted against true deviation'))
    run = evaluation.questioned
    if run.name in TIMELINE_ROWS:
        plot_deviation(folder / timeline, deviation_samples(run, evaluation.reference),
                       title=f'{title}, {run.title}')
        pictures.append((timeline, 'Deviation, threshold and key frames over time'))
    plot_strip(folder / strip, evaluation.dataset, evaluation.runs, title=title)
    pictures.append((strip, 'Images and masks of three frames'))
    return pictures


def _fraction(value: Optional[float]) -> str:
    return '' if value is None else f'{value:.4f}'


def _csv(head: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(head)
    writer.writerows(lines)
    return text.getvalue()
