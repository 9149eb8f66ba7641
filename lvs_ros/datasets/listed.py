# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The general layout: a CSV or JSON list of images, with labels, times and drives where known.

Each row, or each object of the JSON list, has ``image``, and where they are known ``label``,
``time`` (seconds) and ``drive``. Paths are relative to the list.
"""

import csv
import json
import math
import pathlib
from typing import Any, Mapping, Optional, Sequence

from lvs_ros.datasets.drive import DriveFrame
from lvs_ros.datasets.frame_times import FrameTime, FrameTimes, check_rate, frame_times
from lvs_ros.datasets.image_folder import FORMATS
from lvs_ros.datasets.label_files import LabelFiles
from lvs_ros.datasets.listing import Listing
from lvs_ros.errors import DatasetError
from lvs_ros.labels import LabelSet

COLUMNS = ('image', 'label', 'time', 'drive')
ENDINGS = ('.csv', '.json')

_Row = Mapping[str, Any]


def list_listed(path: pathlib.Path, label_set: LabelSet, *, rate_hz: Optional[float] = None
                ) -> Listing:
    """List the frames of a list, by drive and time; nothing is decoded.

    :param label_set: of the labels
    :param rate_hz: images a second of each drive, in the order of the list; None = by ``time``
    :raises DatasetError: for a list that cannot be read, or a file that is not there.
    """
    path = pathlib.Path(path)
    rows = _rows(path)
    images = [_file(path, number, row, 'image') for number, row in enumerate(rows, 1)]
    labels = [_file(path, number, row, 'label') for number, row in enumerate(rows, 1)]
    for number, image in enumerate(images, 1):
        if image is None:
            raise DatasetError(f'{path}: entry {number} has no image; expected one in each')
        if image.suffix.lower() not in FORMATS:
            raise DatasetError(f'{path}: entry {number}, {image}: expected an image that ends in '
                               + ', '.join(FORMATS))
    twice = len(images) - len(set(images))
    if twice:
        raise DatasetError(f'{path}: {twice} images are listed more than once; expected once')
    times = _times(path, rows, rate_hz)
    files = LabelFiles([one for one in labels if one is not None], label_set)
    frames = [DriveFrame(time.drive, time.time_s, image, label, None if label is None else files)
              for time, image, label in zip(times.of_frames, images, labels) if image is not None]
    order = {drive: number for number, drive in enumerate(
        dict.fromkeys(frame.sequence for frame in frames))}
    return Listing(sorted(frames, key=lambda frame: (order[frame.sequence], frame.time_s)), files,
                   (times.told,))


def _rows(path: pathlib.Path) -> Sequence[_Row]:
    if path.suffix.lower() not in ENDINGS:
        raise DatasetError(f'{path}: expected a list that ends in {" or ".join(ENDINGS)}; a '
                           'folder of images/ and labels/ is given with --camvid')
    try:
        with open(path, newline='', encoding='utf-8-sig') as file:
            if path.suffix.lower() == '.csv':
                reader = csv.DictReader(file)
                rows: Any = list(reader)
            else:
                rows = json.load(file)
    except (OSError, ValueError, csv.Error, RecursionError) as error:
        raise DatasetError(f'{path}: cannot be read ({error}); expected CSV with a first line '
                           f'"{",".join(COLUMNS)}", or a JSON list of objects') from error
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise DatasetError(f'{path}: no entries; expected CSV with a first line '
                           f'"{",".join(COLUMNS)}", or a JSON list of objects')
    unknown = sorted({str(key) for row in rows for key in row} - set(COLUMNS))
    if unknown:
        raise DatasetError(f'{path}: {", ".join(unknown)[:200]} is none of the columns '
                           f'{", ".join(COLUMNS)}; expected no other, as a typing error would be '
                           'a column left out')
    return rows


def _file(path: pathlib.Path, number: int, row: _Row, column: str) -> Optional[pathlib.Path]:
    value = row.get(column)
    if value is None or value == '':
        return None
    if not isinstance(value, str):
        raise DatasetError(f'{path}: entry {number}, {column} is {value!r}: expected a path')
    found = path.parent / value
    if not found.is_file():
        raise DatasetError(f'{path}: entry {number}, {column} {found}: no such file')
    return found


def _times(path: pathlib.Path, rows: Sequence[_Row], rate_hz: Optional[float]) -> FrameTimes:
    drives = [str(row.get('drive') or '') for row in rows]
    given = [row.get('time') not in (None, '') for row in rows]
    if rate_hz is not None or not any(given):
        # The place in the list stands for the name: its order is the order of the frames.
        names = [f'{drive}/{number:09d}' for number, drive in enumerate(drives)]
        times = frame_times(names, rate_hz=rate_hz)
        return times if rate_hz is None else FrameTimes(
            times.of_frames, f'times: in the order of the list, {rate_hz:g} frames a second')
    if not all(given):
        raise DatasetError(f'{path}: entry {given.index(False) + 1} has no time, others have; '
                           'expected times of all, or of none')
    times = FrameTimes([FrameTime(drive, _seconds(path, number, row['time']))
                        for number, (drive, row) in enumerate(zip(drives, rows), 1)],
                       f'times: of {path.name}, in seconds')
    check_rate(times.of_frames, times.told)
    return times


def _seconds(path: pathlib.Path, number: int, value: Any) -> float:
    try:
        seconds = float(value)
        if math.isfinite(seconds) and not isinstance(value, bool):
            return seconds
    except (TypeError, ValueError):
        pass
    raise DatasetError(f'{path}: entry {number}, time is {value!r}: expected seconds')
