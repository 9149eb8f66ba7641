# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""To which drive a frame belongs, and when it was taken: of a rate, a file, or the names.

A guess is told, and one that cannot be is an error: a wrong time makes unrelated images a video.
"""

import csv
import pathlib
import re
from typing import NamedTuple, Optional, Sequence

import numpy as np

from lvs_ros.errors import DatasetError

CAMVID_RATE_HZ = 30
SIDECAR = 'times.csv'
SLOWEST_HZ, FASTEST_HZ = 0.001, 1000.0
"""Rates of a drive beyond which its times are not believed."""

_MEND = (f'give the rate with --rate, or times in seconds ({SIDECAR} beside images/ with the '
         'columns image, time and drive, or the column time of a list)')
_FRAME = re.compile(r'(?P<drive>.+)_f?(?P<frame>\d+)')
_UNITS = {10: ('seconds', 1), 13: ('milliseconds', 10**3), 16: ('microseconds', 10**6),
          19: ('nanoseconds', 10**9)}
"""Units of the time since 1970, by the number of their digits from 2001 to 2286."""
_STAMP = re.compile(r'(?:(?P<drive>.*)[_-])?(?P<time>[1-9](?:\d{9}|\d{12}|\d{15}|\d{18}))')
_SPLIT_STAMP = re.compile(
    r'(?:(?P<drive>.*)[_-])?(?P<seconds>[1-9]\d{9})[._](?P<fraction>\d{6}|\d{9})')


class FrameTime(NamedTuple):
    """Where a frame stands.

    :param drive: name of its drive
    :param time_s: time within it
    """

    drive: str
    time_s: float


class FrameTimes(NamedTuple):
    """Where the frames of a data set stand, and how that was found out, for people."""

    of_frames: list[FrameTime]
    told: str


def frame_times(names: Sequence[str], *, rate_hz: Optional[float],
                sidecar: Optional[pathlib.Path] = None) -> FrameTimes:
    """Find out the times of frames by their names.

    :param names: without ending, in natural order; may have folders, which are drives
    :param rate_hz: frames a second; None = not given
    :param sidecar: file of the times; used where it is there
    :raises DatasetError: for times that cannot be.
    """
    if rate_hz is not None:
        return _at_rate(names, rate_hz)
    found = times_told(names, sidecar) or _of_frame_numbers(names)
    check_rate(found.of_frames, found.told)
    return found


def times_told(names: Sequence[str], sidecar: Optional[pathlib.Path]) -> Optional[FrameTimes]:
    """Return times that a file, or else the names, tell; None where neither does.

    :raises DatasetError: for a file that cannot be read, or lacks a name.
    """
    if sidecar is not None and sidecar.is_file():
        return FrameTimes(_of_sidecar(names, sidecar), f'times: of {sidecar.name}')
    return _of_stamps(names)


def standing_alone(names: Sequence[str]) -> FrameTimes:
    """Make every frame a drive of its own."""
    return FrameTimes([FrameTime(name, 0.0) for name in names],
                      f'times: none, so that all {len(names)} frames stand alone: {_MEND}')


def check_rate(frames: Sequence[FrameTime], told: str) -> None:
    """See that the times within drives can be.

    :param told: where they come from
    :raises DatasetError: two frames of a drive have one time, or the median spacing is absurd.
    """
    by_drive: dict[str, list[float]] = {}
    for frame in frames:
        by_drive.setdefault(frame.drive, []).append(frame.time_s)
    spacings = [np.diff(np.sort(times)) for times in by_drive.values() if len(times) > 1]
    if not spacings:
        return
    for drive, times in by_drive.items():
        if len(set(times)) < len(times):
            raise DatasetError(f'{told}; but two frames of the drive {drive!r} have the same '
                               f'time: {_MEND}')
    rate_hz = 1 / float(np.median(np.concatenate(spacings)))
    if not SLOWEST_HZ <= rate_hz <= FASTEST_HZ:
        raise DatasetError(
            f'{told}; but that makes {rate_hz:.2g} frames a second, expected {SLOWEST_HZ:g} to '
            f'{FASTEST_HZ:g} Hz: {_MEND}')


def _at_rate(names: Sequence[str], rate_hz: float) -> FrameTimes:
    if not SLOWEST_HZ <= rate_hz <= FASTEST_HZ:
        raise DatasetError(f'--rate is {rate_hz:g}: expected {SLOWEST_HZ:g} to {FASTEST_HZ:g} Hz')
    counts: dict[str, int] = {}
    found = []
    for name in names:
        match = _FRAME.fullmatch(name)
        drive = match['drive'] if match else name.rpartition('/')[0]
        counts[drive] = counts.get(drive, -1) + 1
        found.append(FrameTime(drive, counts[drive] / rate_hz))
    return FrameTimes(found, f'times: in the order of the names, {rate_hz:g} frames a second, '
                             f'{len(counts)} drive{"s" * (len(counts) > 1)}')


def _of_sidecar(names: Sequence[str], path: pathlib.Path) -> list[FrameTime]:
    try:
        with open(path, newline='', encoding='utf-8-sig') as file:
            rows = list(csv.DictReader(file))
        known = {row['image'].rsplit('.', 1)[0] if '.' in row['image'] else row['image']:
                 FrameTime(row.get('drive') or '', float(row['time'])) for row in rows}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise DatasetError(f'{path}: cannot be read ({error!r}); expected a first line '
                           '"image,time" or "image,time,drive", and then one line an image, the '
                           'time in seconds') from error
    missing = [name for name in names if name not in known]
    if missing:
        raise DatasetError(f'{path}: {len(missing)} images are not listed, the first is '
                           f'{missing[0]}; expected one line for each')
    return [known[name] for name in names]


def _of_stamps(names: Sequence[str]) -> Optional[FrameTimes]:
    """Return times since 1970 where all names hold them in one unit."""
    whole = [_STAMP.fullmatch(name) for name in names]
    if all(whole):
        digits = {len(match['time']) for match in whole if match}
        if len(digits) == 1:
            unit, per_second = _UNITS[digits.pop()]
            stamps = [(match['drive'], int(match['time'])) for match in whole if match]
            return _since_first(stamps, per_second, unit)
    split = [_SPLIT_STAMP.fullmatch(name) for name in names]
    if all(split) and len({len(match['fraction']) for match in split if match}) == 1:
        matches = [match for match in split if match]
        per_second = 10 ** len(matches[0]['fraction'])
        return _since_first([(match['drive'], int(match['seconds'] + match['fraction']))
                             for match in matches], per_second, 'seconds and their fraction')
    return None


def _since_first(stamps: Sequence[tuple[Optional[str], int]], per_second: int, unit: str
                 ) -> FrameTimes:
    first = min(stamp for _, stamp in stamps)    # whole numbers: a float would round nanoseconds
    return FrameTimes([FrameTime(drive or '', (stamp - first) / per_second)
                       for drive, stamp in stamps], f'times: of the names, in {unit}')


def _of_frame_numbers(names: Sequence[str]) -> FrameTimes:
    matches = [_FRAME.fullmatch(name) for name in names]
    if not any(matches):
        return standing_alone(names)
    alone = sum(match is None for match in matches)
    return FrameTimes(
        [FrameTime(match['drive'], int(match['frame']) / CAMVID_RATE_HZ) if match
         else FrameTime(name, 0.0) for name, match in zip(names, matches)],
        f'times: of the numbers in the names, taken for frames at {CAMVID_RATE_HZ} Hz as in '
        'CamVid' + (f'; {alone} names without a number stand alone' if alone else ''))
