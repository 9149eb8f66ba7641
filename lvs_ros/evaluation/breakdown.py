# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Accuracy by drive and by frame: where a model is bad."""

import dataclasses
from typing import Any, Iterator, Optional, Sequence

from lvs_ros.evaluation.dataset import Dataset
from lvs_ros.evaluation.metrics import miou, pixel_accuracy
from lvs_ros.evaluation.run import FrameResult, RowRun
from lvs_ros.evaluation.streaming import miou_or_none

WORST = 10
"""How many of the worst frames are named."""


@dataclasses.dataclass(frozen=True)
class DriveScore:
    """A drive.

    :param frames: how many it has
    :param scored: how many of these were scored
    :param miou: of each row by name, 0..1; None = nothing was scored
    :param streaming_miou: the same (:mod:`~lvs_ros.evaluation.streaming`)
    """

    drive: str
    frames: int
    scored: int
    miou: dict[str, Optional[float]]
    streaming_miou: dict[str, Optional[float]]


@dataclasses.dataclass(frozen=True)
class WorstFrame:
    """A frame.

    :param frame: its number in the drive, from 0
    :param image: name of its file, or of the recording that it is in
    :param time_s: from the beginning of the drive
    :param miou: of the row in question, and of the per-frame network; 0..1
    :param pixel_accuracy: the same
    """

    drive: str
    frame: int
    image: str
    time_s: float
    miou: tuple[float, float]
    pixel_accuracy: tuple[float, float]


def by_drive(dataset: Dataset, runs: Sequence[RowRun]) -> list[DriveScore]:
    """Return the accuracy of every row on every drive."""
    found = []
    for number, drive in enumerate(dataset.drives):
        scored = {run.name: [frame.confusion for frame in run.frames
                             if frame.drive == number and frame.confusion is not None]
                  for run in runs}
        streaming = {run.name: [frame.streaming for frame in run.frames
                                if frame.drive == number and frame.streaming is not None]
                     for run in runs}
        found.append(DriveScore(
            drive.frames[0].sequence, len(drive.frames), max(map(len, scored.values()), default=0),
            *({name: miou_or_none(counts) for name, counts in confusions.items()}
              for confusions in (scored, streaming))))
    return found


def worst_frames(dataset: Dataset, run: RowRun, reference: RowRun, *, count: int = WORST
                 ) -> list[WorstFrame]:
    """Return the frames on which a row has the smallest share of right pixels.

    :param reference: the per-frame network's run
    """
    both = [(own, other) for own, other in zip(run.frames, reference.frames, strict=True)
            if _is_scored(own)]

    def scores(measure: Any, pair: tuple[FrameResult, FrameResult]) -> tuple[float, float]:
        own, other = (float(measure(frame.confusion)) for frame in pair)
        return own, other

    both.sort(key=lambda pair: scores(pixel_accuracy, pair)[0])
    return [WorstFrame(*place_of(dataset, own), scores(miou, (own, other)),
                       scores(pixel_accuracy, (own, other))) for own, other in both[:count]]


def place_of(dataset: Dataset, frame: FrameResult) -> tuple[str, int, str, float]:
    """Return drive, number, image and time of a frame."""
    source = dataset.drives[frame.drive].frames[frame.index]
    return source.sequence, frame.index, source.image_path.name, frame.stamp_ns / 1e9


def frame_lines(dataset: Dataset, run: RowRun) -> Iterator[tuple[Any, ...]]:
    """Yield the lines of frames.csv, in the order of :func:`frame_columns`."""
    measures: tuple[Any, ...] = (miou, pixel_accuracy) if dataset.is_labelled else (miou,)
    for frame in run.frames:
        yield (run.name, *place_of(dataset, frame), frame.latency_ms, frame.compute_ms,
               int(frame.status.key_frame), frame.status.deviation, frame.newest,
               *(f'{measure(frame.confusion):.4f}' if _is_scored(frame) else ''
                 for measure in measures),
               f'{pixel_accuracy(frame.agreement):.4f}')


def _is_scored(frame: FrameResult) -> bool:
    return frame.confusion is not None and bool(frame.confusion.any())


def frame_columns(dataset: Dataset) -> tuple[str, ...]:
    """Return the heads of frames.csv."""
    scores = ('miou', 'pixel_accuracy') if dataset.is_labelled else ('agreement_miou',)
    return ('row', 'drive', 'frame', 'image', 'time_s', 'latency_ms', 'compute_ms', 'key_frame',
            'deviation', 'newest', *scores, 'agreement')
