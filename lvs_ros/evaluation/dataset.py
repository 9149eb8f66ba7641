# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The drives that a row is run over."""

import dataclasses
import itertools
import os
import pathlib
from typing import Optional, Sequence, Union

import numpy as np

from lvs_ros.datasets.camvid import list_folder
from lvs_ros.datasets.cityscapes import list_split
from lvs_ros.datasets.drive import DriveFrame
from lvs_ros.datasets.listed import list_listed
from lvs_ros.datasets.listing import Listing
from lvs_ros.errors import ConfigurationError, DatasetError, LabelSetError
from lvs_ros.labels import LabelSet, load_label_set
from lvs_ros.pipeline.frame import Frame
from lvs_ros.pipeline.pipeline import SegmentationPipeline


@dataclasses.dataclass(frozen=True)
class Drive:
    """Consecutive frames, not yet read.

    :param stamps_ns: when each frame arrives, from the first on
    """

    frames: tuple[DriveFrame, ...]
    stamps_ns: tuple[int, ...]

    def load(self) -> 'LoadedDrive':
        """Read all files.

        :raises DatasetError: naming a file that is broken, or of another size than the first.
        """
        images: list[np.ndarray] = []
        labels: list[Optional[np.ndarray]] = []
        for frame in self.frames:
            image, label = frame.load()
            if images and image.shape != images[0].shape:
                raise DatasetError(
                    f'{frame.image_path}: {image.shape[1]}x{image.shape[0]} pixels, but '
                    f'{self.frames[0].image_path} has {images[0].shape[1]}x'
                    f'{images[0].shape[0]}; the frames of a drive must be of one size')
            images.append(image)
            labels.append(label)
        return LoadedDrive(
            [Frame(image, stamp_ns) for image, stamp_ns in zip(images, self.stamps_ns)], labels)


@dataclasses.dataclass(frozen=True)
class LoadedDrive:
    """Consecutive frames in memory.

    :param labels: (H, W) uint8 of each frame, 255 = unlabelled; None where it has none
    """

    frames: list[Frame]
    labels: list[Optional[np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Drives, labelled or not.

    :param name: what the tables call it; never a path
    :param label_set: of its labels; of the model, where it has none
    :param told: how its files were read, for people
    """

    name: str
    label_set: LabelSet
    drives: tuple[Drive, ...]
    told: tuple[str, ...] = ()

    @property
    def is_labelled(self) -> bool:
        """Whether there are labels to score against; else it is the per-frame network's masks."""
        return any(frame.label_path is not None for drive in self.drives for frame in drive.frames)

    @property
    def frame_count(self) -> int:
        """Frames of all drives."""
        return sum(len(drive.frames) for drive in self.drives)

    @property
    def rate_hz(self) -> Optional[float]:
        """Frames a second by the median spacing; None when every drive has one frame only."""
        spacings = [later - earlier for drive in self.drives
                    for earlier, later in zip(drive.stamps_ns, drive.stamps_ns[1:])]
        return 1e9 / float(np.median(spacings)) if spacings else None

    def check_model(self, pipeline: SegmentationPipeline, model: str) -> None:
        """Raise :class:`~lvs_ros.errors.DatasetError` unless the model has these classes."""
        config = pipeline.config
        try:
            difference = config.labels_as(None).difference(self.label_set)
        except LabelSetError as error:    # of an older file, which holds no more than its name
            difference = '' if (config.label_set, config.classes) == (
                self.label_set.name, len(self.label_set)) else str(error)
        if difference:
            raise DatasetError(
                f'the model {model} labels {config.classes} classes of {config.label_set!r}, the '
                f'data {self.name} {len(self.label_set)} of {self.label_set.name!r} '
                f'({difference}); choose a model that was trained for these classes, or name the '
                'label set of the data with --labels')


def camvid(folder: pathlib.Path, label_set: Optional[LabelSet] = None, *,
           limit: Optional[int] = None, rate_hz: Optional[float] = None) -> Dataset:
    """Return a folder of images/ and labels/.

    :param label_set: of the labels; None = that of CamVid
    :param limit: as in :func:`make_dataset`, and so is ``rate_hz``
    :raises DatasetError: when the folder, or a file of it, is missing.
    """
    label_set = label_set or load_label_set('camvid')
    return _of_listing(f'{label_set.name} {os.path.basename(os.path.abspath(folder))}', label_set,
                       list_folder(folder, label_set, rate_hz=rate_hz), limit, rate_hz)


def cityscapes(root: pathlib.Path, split: str, label_set: Optional[LabelSet] = None, *,
               limit: Optional[int] = None, rate_hz: Optional[float] = None) -> Dataset:
    """Return a split of Cityscapes; arguments as of :func:`camvid`.

    :raises DatasetError: when a folder, or a file, is missing.
    """
    label_set = label_set or load_label_set('cityscapes')
    return _of_listing(f'cityscapes {split}', label_set, list_split(root, split, label_set),
                       limit, rate_hz)


def listed(path: pathlib.Path, label_set: LabelSet, *, limit: Optional[int] = None,
           rate_hz: Optional[float] = None) -> Dataset:
    """Return the drives of a list of images and labels; arguments as of :func:`camvid`.

    :raises DatasetError: for a list that cannot be read, or a file that is missing.
    """
    return _of_listing(path.name, label_set, list_listed(path, label_set, rate_hz=rate_hz), limit,
                       rate_hz)


def _of_listing(name: str, label_set: LabelSet, listing: Listing, limit: Optional[int],
                rate_hz: Optional[float]) -> Dataset:
    dataset = make_dataset(name, label_set, listing.frames, limit=limit, rate_hz=rate_hz)
    return dataclasses.replace(dataset, told=(*listing.notes, listing.label_files.description))


def make_dataset(name: str, label_set: Union[str, LabelSet], frames: Sequence[DriveFrame], *,
                 limit: Optional[int] = None, rate_hz: Optional[float] = None) -> Dataset:
    """Sort frames into drives.

    :param label_set: of the labels, or its name
    :param frames: by sequence and time
    :param limit: take so many of the frames, from the first on; None = all
    :param rate_hz: let the frames arrive at this rate; None = at their own stamps
    :raises ConfigurationError: for a limit or rate that cannot be.
    :raises DatasetError: when none of the frames is labelled.
    """
    check_numbers(limit, rate_hz)
    taken = list(frames)[:limit]
    if all(frame.label_path is None for frame in taken):
        raise DatasetError(f'{name}: none of the {len(taken)} frames taken is labelled, so '
                           'nothing can be measured; take more of them')
    drives = tuple(make_drive(tuple(group), rate_hz) for _, group in
                   itertools.groupby(taken, key=lambda frame: frame.sequence))
    if isinstance(label_set, str):
        label_set = load_label_set(label_set)
    return Dataset(name, label_set, drives)


def check_numbers(limit: Optional[int], rate_hz: Optional[float]) -> None:
    """Raise :class:`~lvs_ros.errors.ConfigurationError` for a limit or rate that cannot be."""
    if limit is not None and limit < 1:
        raise ConfigurationError(f'limit is {limit}: expected 1 or more frames')
    if rate_hz is not None and not 0 < rate_hz < float('inf'):
        raise ConfigurationError(f'rate is {rate_hz}: expected more than 0 Hz')


def make_drive(frames: tuple[DriveFrame, ...], rate_hz: Optional[float]) -> Drive:
    """Return consecutive frames as a drive, whose stamps begin at 0.

    :param rate_hz: None = at their own times
    """
    times_s = [frame.time_s - frames[0].time_s if rate_hz is None else index / rate_hz
               for index, frame in enumerate(frames)]
    return Drive(frames, tuple(round(time_s * 1e9) for time_s in times_s))
