# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which frames are held out, to be measured on and never trained on.

Never at random: a frame's neighbours look like it, and a network that was trained on them seems
better than it is.
"""

import collections
import pathlib
from typing import NamedTuple, Optional, Sequence

import numpy as np

from lvs_ros.errors import ConfigurationError

CHOICES = ('drives', 'time')
GAP_S = 2.0
"""Frames less than this before the held-out part of a drive are not trained on, either."""
_SHOWN, _ROUNDING_S = 5, 1e-6


class Moment(NamedTuple):
    """Where a frame stands.

    :param drive: frames of different drives have nothing in common
    :param clip: part of the drive within which times count
    :param time_s: within the clip
    :param labelled: it has labels
    """

    drive: str
    clip: str
    time_s: float
    labelled: bool


class Parts(NamedTuple):
    """Indices of the frames, ascending; those of neither are too near to what is held out."""

    trained: np.ndarray
    held: np.ndarray
    told: tuple[str, ...]


def drives_of(clips: Sequence[str]) -> list[str]:
    """Name the drive of each frame: its clip; of frames that stand alone, their folder."""
    counts = collections.Counter(clips)
    return [clip if counts[clip] > 1 else str(pathlib.PurePath(clip).parent) for clip in clips]


def hold_out(moments: Sequence[Moment], share: float, by: Optional[str]) -> Parts:
    """Choose a share of the labelled frames, and all frames beside them.

    By drives: whole drives, from the last one on, whose labelled frames come nearest to the share.
    By time: the last part of each drive.

    :param share: of the labelled frames, above 0 and below 1
    :param by: of :data:`CHOICES`; None = drives where there are several, else time
    :raises ConfigurationError: when nothing would be left on one of the two sides.
    """
    drives: dict[str, list[int]] = {}
    for index, moment in enumerate(moments):
        drives.setdefault(moment.drive, []).append(index)
    counts = {drive: sum(moments[index].labelled for index in indices)
              for drive, indices in drives.items()}
    counts = {drive: count for drive, count in counts.items() if count}
    if by == 'drives' and len(counts) < 2:
        raise ConfigurationError(
            f'--val-by drives: {len(counts)} drive is known, expected two or more; hold out the '
            'last part of it with --val-by time, or name the drives (docs/data.md)')
    by = by or ('drives' if len(counts) > 1 else 'time')
    side = np.zeros(len(moments), np.int8)    # 0 = trained on, 1 = held out, 2 = neither
    if by == 'drives':
        chosen = _whole_drives(counts, share)
        for drive in chosen:
            side[drives[drive]] = 1
        where = f'{len(chosen)} of {len(counts)} drives, {_listed(chosen)}'
    else:
        for drive in counts:
            _cut(moments, np.array(drives[drive]), share, side)
        where = 'the last part of each drive' if len(counts) > 1 else 'the last part'
    labelled = np.array([moment.labelled for moment in moments])
    held, trained = int((labelled & (side == 1)).sum()), int((labelled & (side == 0)).sum())
    if not held or not trained:
        raise ConfigurationError(
            f'--val-share {share:g} by {by}: {held} labelled frames would be held out and '
            f'{trained} trained on, of {int(labelled.sum())}; expected some on both sides (frames '
            f'less than {GAP_S:g} s before those held out count on neither): choose another '
            'share, or give a data set of its own with --val')
    told = [f'held out by {by}: {held} labelled frames ({where}); {trained} are trained on'
            + (f', {int((side == 2).sum())} frames less than {GAP_S:g} s before the held-out ones '
               'are not' if (side == 2).any() else '')]
    alone = {moment.clip for moment in moments}
    if by == 'time' and len(alone) == len(moments):
        told.append(
            'WARNING: neither drives nor times of these frames are known, so the last ones by '
            'name are held out. Where their neighbours on the same drive are trained on, the '
            'measured mIoU is too good: give drives and times (docs/data.md), or other drives '
            'with --val')
    return Parts(np.flatnonzero(side == 0), np.flatnonzero(side == 1), tuple(told))


def _whole_drives(counts: dict[str, int], share: float) -> list[str]:
    wanted, held = share * sum(counts.values()), 0
    chosen: list[str] = []
    for drive in reversed(counts):
        nearer = abs(held + counts[drive] - wanted) < abs(held - wanted)
        if nearer and len(chosen) < len(counts) - 1:
            chosen.append(drive)
            held += counts[drive]
    return chosen or [min(reversed(counts), key=lambda drive: counts[drive])]


def _cut(moments: Sequence[Moment], indices: np.ndarray, share: float, side: np.ndarray) -> None:
    """Mark the last part of a drive, and what is just before it, in ``side``."""
    clips = dict.fromkeys(moments[index].clip for index in indices)
    labelled = np.array([moments[index].labelled for index in indices])
    wanted = min(round(share * labelled.sum()), labelled.sum() - 1)
    if wanted < 1:
        return
    if len(clips) == 1:
        times = np.array([moments[index].time_s for index in indices])
        first = np.sort(times[labelled])[-wanted]
        side[indices[times >= first]] = 1
        side[indices[(times < first) & (times > first - GAP_S + _ROUNDING_S)]] = 2
        return
    held = 0
    for clip in reversed(clips):    # times of different clips cannot be compared
        if held >= wanted:
            break
        of_clip = np.array([moments[index].clip == clip for index in indices])
        side[indices[of_clip]] = 1
        held += int((of_clip & labelled).sum())


def _listed(names: Sequence[str]) -> str:
    shown = [pathlib.PurePath(name).name or 'the unnamed one' for name in names[:_SHOWN]]
    return ', '.join(shown) + (f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else '')
