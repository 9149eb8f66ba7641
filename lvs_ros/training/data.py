# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The data of a training: reads what the options ask for, and mixes it."""

import dataclasses
import pathlib
from typing import Optional, Sequence

import numpy as np
import torch

from lvs_ros.datasets.any_layout import is_labelled, list_labelled
from lvs_ros.datasets.camvid import list_folder
from lvs_ros.datasets.cityscapes import list_split
from lvs_ros.datasets.footage import Footage, open_footage
from lvs_ros.datasets.listed import list_listed
from lvs_ros.datasets.listing import Listing
from lvs_ros.errors import ConfigurationError, DatasetError
from lvs_ros.labels import LabelSet
from lvs_ros.training.data_options import DataOptions
from lvs_ros.training.drive_pool import drive_pool
from lvs_ros.training.footage_pool import footage_pool
from lvs_ros.training.frames import FramePool
from lvs_ros.training.held_out import GAP_S, Moment, drives_of, hold_out
from lvs_ros.training.label_statistics import class_counts, held_out_statistics, label_statistics
from lvs_ros.training.overlap import apart_from, same_files
from lvs_ros.training.pool_options import PoolOptions
from lvs_ros.training.sampling import Source
from lvs_ros.training.street_frames import street_class_ids, street_pool
from lvs_ros.training.teacher import Teacher

_STREET_SIZE = (360, 480)
_STREET_CLIPS = 40
# A slow drive has few large motions: half of the clips of recordings move synthetically.
_RECORDED_REAL_TIME = 0.5


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """What is measured on and never trained on.

    :param pools: with labels, all of them an annotator's or all masks of the full network
    :param description: what they are, for the notes of a model; without paths
    """

    pools: tuple[FramePool, ...]
    description: str


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """Frames, ready to draw from.

    :param sources: all with frames of one size, on one device
    :param class_counts: (M, 256) int64, pixels of each class id in each labelled frame: of the
        real ones, where there are some, as what is rare on a drive is not what is rare on the
        synthetic street
    :param description: what they are, for the notes of a model; without paths
    :param told: how they were read, and what is odd about their labels
    :param held_out: None = nothing is
    """

    sources: tuple[Source, ...]
    class_counts: np.ndarray
    description: str
    told: tuple[str, ...] = ()
    held_out: Optional[HeldOut] = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the frames."""
        return self.sources[0].pool.size


class _Loading:
    """What has been read so far.

    :ivar held: pools of what is held out
    :ivar told: see :class:`TrainingData`
    """

    def __init__(self, options: DataOptions, pools: PoolOptions, label_set: LabelSet) -> None:
        self.options, self.pools, self.label_set = options, pools, label_set
        self.held: list[FramePool] = []
        self.told: list[str] = []


def load_data(options: DataOptions, device: torch.device, *, label_set: LabelSet,
              teacher: Optional[Teacher] = None) -> TrainingData:
    """Read what is to be trained on; nothing is written.

    :param label_set: of the network, and of the labels
    :param teacher: labels the frames of recordings; needed where there are some
    :raises DatasetError: naming a file that is missing or does not fit
    :raises RecordingError: naming a recording or video that cannot be read
    :raises ConfigurationError: when the frames cannot be mixed, or not be shared out.
    """
    loading = _Loading(options, PoolOptions(device, options.size, options.memory_gb, teacher),
                       label_set)
    # All are opened before one is read: a mistyped name shall be found at once.
    listed = _listed(options, label_set)
    opened = [open_footage(path, topic=options.topic, rate_hz=options.recording_rate_hz)
              for path in options.recordings]
    if options.val is not None:
        _read_val(loading, options.val, listed)
    real = _drives(loading, listed) + _recordings(loading, opened)
    if options.labelled and listed is not None:
        loading.told += [*listed.notes, listed.label_files.description, *label_statistics(
            [source.pool for source in real if not source.pool.taught], label_set,
            assumed=options.labels is None)]
    street = _street(loading, real)
    sources = real + street
    if real and street:
        weight = (1 - options.street_share) / sum(source.share for source in real)
        sources = [dataclasses.replace(source, share=source.share * weight) for source in real]
        sources += [dataclasses.replace(one, share=options.street_share) for one in street]
    _check_sizes(sources)
    held_out = _held_out(loading)
    return TrainingData(
        tuple(sources), np.concatenate([class_counts(source.pool) for source in real or street]),
        _described([(source.name, source.pool) for source in sources]), tuple(loading.told),
        held_out)


def _described(pools: Sequence[tuple[str, FramePool]]) -> str:
    return ', '.join(f'{name}: {len(pool)} frames' for name, pool in pools)


def _held_out(loading: _Loading) -> Optional[HeldOut]:
    pools = loading.held
    if not pools:
        return None
    labelled = [pool for pool in pools if not pool.taught]
    if labelled:
        loading.told += held_out_statistics(labelled, loading.label_set)
    chosen = labelled or pools
    frames = sum(int(pool.labelled.sum()) for pool in chosen)
    options = loading.options
    name = (options.val.name if options.val is not None
            else f'a share of {options.val_share:g}' + (f' by {options.val_by}' * bool(
                options.val_by)))
    return HeldOut(tuple(chosen), f'{name}: {frames} frames')


def _read_val(loading: _Loading, path: pathlib.Path, listed: Optional[Listing]) -> None:
    """Read the data that --val names."""
    options, pools = loading.options, loading.pools
    if is_labelled(path) or pools.teacher is None:
        found = list_labelled(path, loading.label_set, split='val', rate_hz=options.rate_hz)
        if all(frame.label_path is None for frame in found.frames):
            raise DatasetError(f'--val {path}: none of its {len(found.frames)} frames is '
                               'labelled, so nothing can be measured on them')
        _check_apart(path, found, listed)
        loading.held.append(drive_pool(found.frames, dataclasses.replace(pools, teacher=None)))
        loading.told.append(
            f'held out: {path.name}, {sum(one.label_path is not None for one in found.frames)} '
            f'labelled frames; {found.label_files.description}')
    else:
        footage = open_footage(path, topic=options.topic, rate_hz=options.recording_rate_hz)
        loading.held.append(footage_pool(footage, pools, limit=options.frames_per_recording))
        loading.told.append(f'held out: {path.name}, {len(loading.held[-1])} frames without '
                            'labels; measured is the agreement with the full network')


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


def _listed(options: DataOptions, label_set: LabelSet) -> Optional[Listing]:
    if options.camvid is not None:
        return list_folder(options.camvid, label_set, rate_hz=options.rate_hz)
    if options.cityscapes is not None:
        return list_split(options.cityscapes, 'train', label_set)
    if options.data is not None:
        return list_listed(options.data, label_set, rate_hz=options.rate_hz)
    return None


def _drives(loading: _Loading, listed: Optional[Listing]) -> list[Source]:
    if listed is None:
        return []
    options, pools = loading.options, loading.pools
    if not options.hide_labels:
        pools = dataclasses.replace(pools, teacher=None)
    frames = listed.frames
    if options.val_share is not None:
        if options.cityscapes is not None:    # its clips are single frames, or short runs
            drives = [frame.image_path.parent.name for frame in frames]
        else:
            drives = drives_of([frame.sequence for frame in frames])
        parts = hold_out(
            [Moment(drive, frame.sequence, frame.time_s,
                    options.hide_labels or frame.label_path is not None)
             for drive, frame in zip(drives, frames)], options.val_share, options.val_by)
        loading.held.append(drive_pool([frames[index] for index in parts.held], pools))
        loading.told += parts.told
        frames = [frames[index] for index in parts.trained]
    name = 'CamVid' if loading.label_set.name == 'camvid' else loading.label_set.name
    folder = options.camvid or options.data
    name = 'Cityscapes train' if folder is None else f'{name} {folder.name}'
    if not options.hide_labels:
        return [Source(drive_pool(frames, pools), name=name)]
    return [Source(drive_pool(frames, pools), real_time=_RECORDED_REAL_TIME,
                   name=f'{name} without its labels')]


def _recordings(loading: _Loading, opened: Sequence[Footage]) -> list[Source]:
    """Read all recordings, which together have as much weight as a labelled data set."""
    read = [footage_pool(one, loading.pools, limit=loading.options.frames_per_recording)
            for one in opened]
    names = [f'recording {one.path.name}' for one in opened]
    if loading.held:
        read = [_apart(loading, pool, name) for pool, name in zip(read, names)]
    elif loading.options.val_share is not None and read:
        read = _shared_out(loading, read)
    found = [(pool, name) for pool, name in zip(read, names) if len(pool)]
    total = sum(len(pool) for pool, _ in found)
    return [Source(pool, len(pool) / total, _RECORDED_REAL_TIME, name) for pool, name in found]


def _apart(loading: _Loading, pool: FramePool, name: str) -> FramePool:
    """Leave out what shows held-out frames."""
    kept = apart_from(pool, loading.held)
    if len(kept) == len(pool):
        return pool
    loading.told.append(f'{name}: {len(pool) - len(kept)} of {len(pool)} frames show what is held '
                        f'out, or are within {GAP_S:g} s of it; they are not trained on')
    if not len(kept):
        raise DatasetError(f'{name}: all of its frames show what is held out, or are within '
                           f'{GAP_S:g} s of it; expected another drive')
    return pool.subset(kept)


def _shared_out(loading: _Loading, read: Sequence[FramePool]) -> list[FramePool]:
    """Hold out a share of pools: of their clips, or of the last part of each."""
    share = loading.options.val_share
    assert share is not None
    parts = hold_out([Moment(clip, clip, time_s, bool(labelled)) for pool in read
                      for clip, time_s, labelled in zip(pool.clips, pool.times_s, pool.labelled)],
                     share, loading.options.val_by)
    loading.told += parts.told
    kept, begin = [], 0
    for pool in read:
        own = [part[(part >= begin) & (part < begin + len(pool))] - begin
               for part in (parts.trained, parts.held)]
        begin += len(pool)
        kept.append(pool.subset(own[0]))
        if len(own[1]):
            loading.held.append(pool.subset(own[1]))
    return kept


def _street(loading: _Loading, real: Sequence[Source]) -> list[Source]:
    options, label_set = loading.options, loading.label_set
    clips = options.street_clips
    if clips is None:
        # What adapts to recordings, or measures how well that goes, needs no other labels.
        clips = _STREET_CLIPS if options.labelled else 0
    if not clips:
        return []
    class_ids, missing = street_class_ids(label_set)
    if missing:
        text = (f'no class of the label set {label_set.name!r} stands for these of the street: '
                f'{", ".join(missing)}')
        if options.street_clips:
            raise ConfigurationError(f'{text}; leave --street-clips away, or name them in the '
                                     'label set (street), see docs/data.md')
        loading.told.append(f'the synthetic street is not mixed in: {text}')
        return []
    height, width = options.size[::-1] if options.size else _STREET_SIZE
    if real:
        height, width = real[0].pool.size
    print(f'rendering {clips} clips of the street')
    pool: FramePool = street_pool(
        loading.pools.device, clips=clips, frames=options.street_frames, width=width,
        height=height, seed=options.seed, class_ids=class_ids)
    if not real and options.val_share is not None:
        [pool] = _shared_out(loading, [pool])
    return [Source(pool, name='synthetic street')]


def _check_sizes(sources: Sequence[Source]) -> None:
    sizes = {source.pool.size: source.name for source in sources}
    if len(sizes) > 1:
        raise ConfigurationError('the frames differ in size: ' + ', '.join(
            f'{name} {width}x{height}' for (height, width), name in sizes.items())
            + '; expected one size for all: scale them with --size')
