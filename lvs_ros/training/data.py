# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The data of a training: reads what the options ask for, and mixes it."""

import dataclasses
from typing import Optional, Sequence

import numpy as np
import torch

from lvs_ros.datasets.camvid import list_folder
from lvs_ros.datasets.cityscapes import list_split
from lvs_ros.datasets.footage import Footage, open_footage
from lvs_ros.datasets.listed import list_listed
from lvs_ros.datasets.listing import Listing
from lvs_ros.errors import ConfigurationError
from lvs_ros.labels import LabelSet
from lvs_ros.training.data_options import DataOptions
from lvs_ros.training.drive_pool import drive_pool
from lvs_ros.training.footage_pool import footage_pool
from lvs_ros.training.frames import FramePool
from lvs_ros.training.held_out_clips import LONGEST_S
from lvs_ros.training.holding_out import HeldOut, HoldingOut
from lvs_ros.training.label_statistics import class_counts, label_statistics
from lvs_ros.training.pool_options import PoolOptions
from lvs_ros.training.sampling import Source
from lvs_ros.training.street_frames import street_class_ids, street_pool
from lvs_ros.training.teacher import Teacher

_STREET_SIZE = (360, 480)
_STREET_CLIPS = 40
# A slow drive has few large motions: half of the clips of recordings move synthetically.
_RECORDED_REAL_TIME = 0.5


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


def load_data(options: DataOptions, device: torch.device, *, label_set: LabelSet,
              teacher: Optional[Teacher] = None) -> TrainingData:
    """Read what is to be trained on; nothing is written.

    :param label_set: of the network, and of the labels
    :param teacher: labels the frames of recordings; needed where there are some
    :raises DatasetError: naming a file that is missing or does not fit
    :raises RecordingError: naming a recording or video that cannot be read
    :raises ConfigurationError: when the frames cannot be mixed, or not be shared out.
    """
    pools = PoolOptions(device, options.size, options.memory_gb, teacher)
    holding = HoldingOut(options, pools, label_set)
    # All are opened before one is read: a mistyped name shall be found at once.
    listed = _listed(options, label_set)
    opened = [open_footage(path, topic=options.topic, rate_hz=options.recording_rate_hz)
              for path in options.recordings]
    holding.read_val(listed)
    real = (_drives(options, pools, holding, listed, label_set)
            + _recordings(options, pools, holding, opened))
    told = [f'{footage.name}: {footage.told}' for footage in opened if footage.told]
    if options.labelled and listed is not None:
        told += [*listed.notes, listed.label_files.description,
                 *label_statistics([source.pool for source in real if not source.pool.taught],
                                   label_set, assumed=options.labels is None)]
    street = _street(options, pools, holding, label_set, real, told)
    sources = real + street
    if real and street:
        weight = (1 - options.street_share) / sum(source.share for source in real)
        sources = [dataclasses.replace(source, share=source.share * weight) for source in real]
        sources += [dataclasses.replace(one, share=options.street_share) for one in street]
    _check_sizes(sources)
    held_out = holding.result()
    return TrainingData(
        tuple(sources), np.concatenate([class_counts(source.pool) for source in real or street]),
        ', '.join(f'{source.name}: {len(source.pool)} frames' for source in sources),
        tuple(map(_extent, sources)) + tuple(told + holding.told), held_out)


def _extent(source: Source) -> str:
    pool = source.pool
    height, width = pool.size
    drives = len(set(pool.clips))
    labels = 'by the full network' if pool.taught else f'{int(pool.labelled.sum())} labelled'
    return (f'{source.name}: {len(pool)} frames ({labels}) of {width}x{height}, '
            f'{drives} drive{"s" * (drives > 1)} or single frames; '
            f'{len(pool.with_earlier(LONGEST_S))} have others at most {LONGEST_S:g} s before them')


def _listed(options: DataOptions, label_set: LabelSet) -> Optional[Listing]:
    if options.camvid is not None:
        return list_folder(options.camvid, label_set, rate_hz=options.rate_hz)
    if options.cityscapes is not None:
        return list_split(options.cityscapes, 'train', label_set)
    if options.data is not None:
        return list_listed(options.data, label_set, rate_hz=options.rate_hz)
    return None


def _drives(options: DataOptions, pools: PoolOptions, holding: HoldingOut,
            listed: Optional[Listing], label_set: LabelSet) -> list[Source]:
    if listed is None:
        return []
    if not options.hide_labels:
        pools = dataclasses.replace(pools, teacher=None)
    frames = holding.rest_of_drives(listed.frames, pools)
    name = 'CamVid' if label_set.name == 'camvid' else label_set.name
    folder = options.camvid or options.data
    name = 'Cityscapes train' if folder is None else f'{name} {folder.name}'
    if not options.hide_labels:
        return [Source(drive_pool(frames, pools), name=name)]
    return [Source(drive_pool(frames, pools), real_time=_RECORDED_REAL_TIME,
                   name=f'{name} without its labels')]


def _recordings(options: DataOptions, pools: PoolOptions, holding: HoldingOut,
                opened: Sequence[Footage]) -> list[Source]:
    """Read all recordings, which together have as much weight as a labelled data set."""
    read = holding.rest_of_pools(
        [footage_pool(one, pools, limit=options.frames_per_recording) for one in opened])
    total = sum(map(len, read))
    return [Source(pool, len(pool) / total, _RECORDED_REAL_TIME, f'recording {one.path.name}')
            for one, pool in zip(opened, read) if len(pool)]


def _street(options: DataOptions, pools: PoolOptions, holding: HoldingOut, label_set: LabelSet,
            real: Sequence[Source], told: list[str]) -> list[Source]:
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
        told.append(f'the synthetic street is not mixed in: {text}')
        return []
    height, width = options.size[::-1] if options.size else _STREET_SIZE
    if real:
        height, width = real[0].pool.size
    print(f'rendering {clips} clips of the street')
    pool: FramePool = street_pool(
        pools.device, clips=clips, frames=options.street_frames, width=width,
        height=height, seed=options.seed, class_ids=class_ids)
    if not real and options.val_share is not None:
        [pool] = holding.rest_of_pools([pool])
    return [Source(pool, name='synthetic street')]


def _check_sizes(sources: Sequence[Source]) -> None:
    sizes = {source.pool.size: source.name for source in sources}
    if len(sizes) > 1:
        raise ConfigurationError('the frames differ in size: ' + ', '.join(
            f'{name} {width}x{height}' for (height, width), name in sizes.items())
            + '; expected one size for all: scale them with --size')
