# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Keeps what is held out apart while the data of a training are read."""

import dataclasses
import pathlib
from typing import Optional, Sequence

from lvs_ros.datasets.any_layout import is_labelled, list_labelled
from lvs_ros.datasets.drive import DriveFrame
from lvs_ros.datasets.footage import open_footage
from lvs_ros.datasets.listing import Listing
from lvs_ros.errors import DatasetError
from lvs_ros.labels import LabelSet
from lvs_ros.training.data_options import DataOptions
from lvs_ros.training.drive_pool import drive_pool
from lvs_ros.training.footage_pool import footage_pool
from lvs_ros.training.frames import FramePool
from lvs_ros.training.held_out import GAP_S, Moment, drives_of, hold_out
from lvs_ros.training.label_statistics import held_out_statistics
from lvs_ros.training.overlap import apart_from, same_files
from lvs_ros.training.pool_options import PoolOptions


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """What is measured on and never trained on.

    :param pools: with labels, all of them an annotator's or all masks of the full network
    :param description: what they are, for the notes of a model; without paths
    """

    pools: tuple[FramePool, ...]
    description: str


class HoldingOut:
    """What has been held out so far, by ``--val`` or ``--val-share``.

    :ivar told: for people
    """

    def __init__(self, options: DataOptions, pools: PoolOptions, label_set: LabelSet) -> None:
        self._options, self._pools, self._label_set = options, pools, label_set
        self._held: list[FramePool] = []
        self._description = ''
        self.told: list[str] = []

    def read_val(self, trained: Optional[Listing]) -> None:
        """Read the data that --val names, if it names some.

        :param trained: images that must not be among them
        :raises LvsError: for data that cannot be read, or are trained on.
        """
        path, options = self._options.val, self._options
        if path is None:
            return
        self._description = path.name
        if is_labelled(path) or self._pools.teacher is None:
            found = list_labelled(path, self._label_set, split='val', rate_hz=options.rate_hz)
            if all(frame.label_path is None for frame in found.frames):
                raise DatasetError(f'--val {path}: none of its {len(found.frames)} frames is '
                                   'labelled, so nothing can be measured on them')
            _check_apart(path, found, trained)
            self._hold(found.frames, dataclasses.replace(self._pools, teacher=None))
            self.told.append(
                f'held out: {path.name}, {sum(map(bool, self._held[-1].labelled))} labelled '
                f'frames; {found.label_files.description}')
            return
        footage = open_footage(path, topic=options.topic, rate_hz=options.recording_rate_hz)
        self._held.append(footage_pool(footage, self._pools, limit=options.frames_per_recording))
        self.told.append(f'held out: {path.name}, {len(self._held[-1])} frames without labels; '
                         'measured is the agreement with the full network')

    def rest_of_drives(self, frames: list[DriveFrame], pools: PoolOptions) -> list[DriveFrame]:
        """Hold out a share of labelled drives, if one is asked for; return what is trained on."""
        options = self._options
        if options.val_share is None:
            return frames
        if options.cityscapes is not None:    # its clips are single frames, or short runs
            drives = [frame.image_path.parent.name for frame in frames]
        else:
            drives = drives_of([frame.sequence for frame in frames])
        parts = hold_out(
            [Moment(drive, frame.sequence, frame.time_s,
                    options.hide_labels or frame.label_path is not None)
             for drive, frame in zip(drives, frames)], options.val_share, options.val_by)
        self._tell(parts.told)
        self._hold([frames[index] for index in parts.held], pools)
        return [frames[index] for index in parts.trained]

    def rest_of_pools(self, pools: list[FramePool]) -> list[FramePool]:
        """Hold out a share of what has no labels of its own; return what is trained on.

        Where something is held out already, only what shows it is left out.
        """
        if self._held:
            return [self._apart(pool) for pool in pools]
        share = self._options.val_share
        if share is None or not pools:
            return pools
        parts = hold_out([Moment(clip, clip, time_s, bool(labelled)) for pool in pools for
                          clip, time_s, labelled in zip(pool.clips, pool.times_s, pool.labelled)],
                         share, self._options.val_by)
        self._tell(parts.told)
        kept, begin = [], 0
        for pool in pools:
            trained, held = (part[(part >= begin) & (part < begin + len(pool))] - begin
                             for part in (parts.trained, parts.held))
            begin += len(pool)
            kept.append(pool.subset(trained))
            if len(held):
                self._held.append(pool.subset(held))
        return kept

    def result(self) -> Optional[HeldOut]:
        """Return what was held out; None = nothing.

        :raises DatasetError: nothing in it is labelled.
        """
        if not self._held:
            return None
        labelled = [pool for pool in self._held if not pool.taught]
        if labelled:
            self.told += held_out_statistics(labelled, self._label_set)
        return HeldOut(tuple(labelled or self._held), self._description)

    def _tell(self, told: Sequence[str]) -> None:
        self.told += told
        self._description = told[0].removeprefix('held out ')

    def _hold(self, frames: Sequence[DriveFrame], pools: PoolOptions) -> None:
        self._held.append(drive_pool(frames, pools))

    def _apart(self, pool: FramePool) -> FramePool:
        kept = apart_from(pool, self._held)
        if len(kept) == len(pool):
            return pool
        name = pathlib.Path(pool.clips[0].rpartition(' ')[0]).name
        if not len(kept):
            raise DatasetError(f'{name}: all of its frames show what is held out, or are within '
                               f'{GAP_S:g} s of it; expected another drive')
        self.told.append(f'{name}: {len(pool) - len(kept)} of {len(pool)} frames show what is '
                         f'held out, or are within {GAP_S:g} s of it; they are not trained on')
        return pool.subset(kept)


def _check_apart(path: pathlib.Path, held: Listing, trained: Optional[Listing]) -> None:
    if trained is None:
        return
    same = same_files([frame.image_path for frame in held.frames],
                      [frame.image_path for frame in trained.frames])
    if same:
        raise DatasetError(
            f'--val {path}: {len(same)} of its {len(held.frames)} images are among those to be '
            f'trained on, the first is {same[0].name}; expected other images: take them out of '
            'the training, or let --val-share choose some of it')
