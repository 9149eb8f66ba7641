# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The data of a training: reads what the options ask for, and mixes it."""

import dataclasses
from typing import NamedTuple, Optional, Sequence

import torch

from lvs_ros.datasets import camvid, cityscapes
from lvs_ros.datasets.footage import open_footage
from lvs_ros.errors import ConfigurationError
from lvs_ros.training.data_options import DataOptions
from lvs_ros.training.drive_pool import drive_pool
from lvs_ros.training.footage_pool import footage_pool
from lvs_ros.training.pool_options import PoolOptions
from lvs_ros.training.sampling import Source
from lvs_ros.training.street_frames import street_pool
from lvs_ros.training.teacher import Teacher

CLASSES = {'camvid': camvid.CLASSES, 'cityscapes': cityscapes.CLASSES}
"""Label sets that data comes in, with their number of classes; the street is drawn in CamVid's."""

_STREET_SIZE = (360, 480)
_STREET_CLIPS = 40
# A slow drive has few large motions: half of the clips of recordings move synthetically.
_RECORDED_REAL_TIME = 0.5


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """Frames, ready to draw from.

    :param sources: all with frames of one size, on one device
    :param label_sample: (N,) uint8, labels to count the classes in: of the real frames, where
        there are some, as what is rare on a drive is not what is rare on the synthetic street
    :param description: what they are, for the notes of a model; without paths
    """

    sources: tuple[Source, ...]
    label_sample: torch.Tensor
    description: str

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the frames."""
        return self.sources[0].pool.size


class _Part(NamedTuple):
    name: str
    source: Source


def load_data(options: DataOptions, device: torch.device, *, label_set: str,
              teacher: Optional[Teacher] = None) -> TrainingData:
    """Read what is to be trained on; nothing is written.

    :param label_set: what the network labels
    :param teacher: labels the frames of recordings; needed where there are some
    :raises DatasetError: naming a file that is missing or does not fit
    :raises RecordingError: naming a recording or video that cannot be read
    :raises ConfigurationError: when the frames cannot be mixed.
    """
    pools = PoolOptions(device, options.size, options.memory_gb, teacher)
    real = _drives(options, pools) + _recordings(options, pools)
    street = _street(options, device, label_set, real)
    parts = real + street
    if real and street:
        weight = (1 - options.street_share) / sum(part.source.share for part in real)
        parts = ([_weighted(part, weight) for part in real]
                 + [_weighted(part, options.street_share) for part in street])
    _check_sizes(parts)
    return TrainingData(
        tuple(part.source for part in parts),
        torch.cat([part.source.pool.label_sample().flatten() for part in real or street]),
        ', '.join(f'{part.name}: {len(part.source.pool)} frames' for part in parts))


def _weighted(part: _Part, weight: float) -> _Part:
    return part._replace(source=dataclasses.replace(
        part.source, share=part.source.share * weight))


def _drives(options: DataOptions, pools: PoolOptions) -> list[_Part]:
    if options.camvid is not None:
        name, frames = f'CamVid {options.camvid.name}', camvid.list_camvid(options.camvid)
    elif options.cityscapes is not None:
        name, frames = 'Cityscapes train', cityscapes.list_cityscapes(options.cityscapes, 'train')
    else:
        return []
    if not options.hide_labels:
        pool = drive_pool(frames, dataclasses.replace(pools, teacher=None))
        return [_Part(name, Source(pool))]
    return [_Part(f'{name} without its labels',
                  Source(drive_pool(frames, pools), real_time=_RECORDED_REAL_TIME))]


def _recordings(options: DataOptions, pools: PoolOptions) -> list[_Part]:
    """Read all recordings, which together have as much weight as a labelled data set."""
    # All are opened before one is read: a mistyped name shall be found at once.
    opened = [open_footage(path, topic=options.topic, rate_hz=options.recording_rate_hz)
              for path in options.recordings]
    read = [footage_pool(one, pools, limit=options.frames_per_recording) for one in opened]
    total = sum(map(len, read))
    return [_Part(f'recording {one.path.name}',
                  Source(pool, len(pool) / total, _RECORDED_REAL_TIME))
            for one, pool in zip(opened, read)]


def _street(options: DataOptions, device: torch.device, label_set: str,
            real: Sequence[_Part]) -> list[_Part]:
    clips = options.street_clips
    if clips is None:
        # What adapts to recordings, or measures how well that goes, needs no other labels.
        clips = _STREET_CLIPS if options.label_set == 'camvid' else 0
    if not clips:
        return []
    if label_set != 'camvid':
        raise ConfigurationError(f'the street has the classes of camvid, the network those of '
                                 f'{label_set}: leave --street-clips away')
    height, width = options.size[::-1] if options.size else _STREET_SIZE
    if real:
        height, width = real[0].source.pool.size
    print(f'rendering {clips} clips of the street')
    return [_Part('synthetic street', Source(street_pool(
        device, clips=clips, frames=options.street_frames, width=width, height=height,
        seed=options.seed)))]


def _check_sizes(parts: Sequence[_Part]) -> None:
    sizes: dict[tuple[int, int], str] = {}
    for part in parts:
        sizes.setdefault(part.source.pool.size, part.name)
    if len(sizes) > 1:
        raise ConfigurationError('the frames differ in size: ' + ', '.join(
            f'{name} {width}x{height}' for (height, width), name in sizes.items())
            + '; expected one size for all: scale them with --size')
