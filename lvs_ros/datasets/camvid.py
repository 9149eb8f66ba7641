# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Folders of ``images/`` and ``labels/``: CamVid's layout, and everything that looks like it.

Brostow, Fauqueur, Cipolla, "Semantic object classes in video", Pattern Recognition Letters 2009:
in the SegNet split ``images/0016E5_07959.jpg`` and ``labels/0016E5_07959.png``, and of the
original 701 frames ``701_StillsRaw_full/0016E5_07959.png`` and
``LabeledApproved_full/0016E5_07959_L.png``, in colours.
"""

import pathlib
import re
from typing import Collection, NamedTuple, Optional

from lvs_ros.datasets.drive import DriveFrame
from lvs_ros.datasets.frame_times import SIDECAR, frame_times
from lvs_ros.datasets.image_folder import FORMATS, natural_key
from lvs_ros.datasets.label_files import LabelFiles
from lvs_ros.datasets.listing import Listing
from lvs_ros.datasets.stored_labels import ENDINGS
from lvs_ros.errors import DatasetError
from lvs_ros.labels import LabelSet, load_label_set

_FOLDERS = (('images', 'labels'), ('701_StillsRaw_full', 'LabeledApproved_full'))
_OF_IMAGE = re.compile(r'_leftImg8bit$')
# What the names of label files end in besides the name of their image.
_PLAIN = re.compile(r'_(?:L|labels?|mask|gt|seg)$')
_TRAIN_IDS = re.compile(r'_(?:gt\w+?_)?(?:label_?)?train_?ids?$', re.IGNORECASE)
_IDS = re.compile(r'_(?:gt\w+?_)?label_?ids?$', re.IGNORECASE)
_COLOURS = re.compile(r'_(?:gt\w+?_|train_)?colou?r$', re.IGNORECASE)
_INSTANCES = re.compile(r'_instance_?ids?$', re.IGNORECASE)


class _Labels(NamedTuple):
    """The label files of a folder.

    :param exact: by their names without ending
    :param longer: by the name of their image, those that have more in their names, each with its
        rank: the lower one is taken
    """

    exact: dict[str, pathlib.Path]
    longer: dict[str, list[tuple[int, pathlib.Path]]]


def is_labelled_folder(folder: pathlib.Path) -> bool:
    """Whether a folder has images and labels side by side."""
    return any((folder / one).is_dir() and (folder / other).is_dir() for one, other in _FOLDERS)


def list_camvid(folder: pathlib.Path, label_set: Optional[LabelSet] = None, *,
                rate_hz: Optional[float] = None) -> list[DriveFrame]:
    """List the frames of :func:`list_folder`."""
    return list_folder(folder, label_set, rate_hz=rate_hz).frames


def list_folder(folder: pathlib.Path, label_set: Optional[LabelSet] = None, *,
                rate_hz: Optional[float] = None) -> Listing:
    """List a folder, all of it labelled, by sequence and time; nothing is decoded.

    :param label_set: of the labels; None = that of CamVid
    :param rate_hz: images a second, in the order of their names; None = see
        :func:`~lvs_ros.datasets.frame_times.frame_times`
    :raises DatasetError: when the folder, or the label of an image, is missing.
    """
    folder, label_set = pathlib.Path(folder), label_set or load_label_set('camvid')
    image_folder, label_folder = next(
        ((folder / one, folder / other) for one, other in _FOLDERS if (folder / one).is_dir()),
        (folder / _FOLDERS[0][0], folder / _FOLDERS[0][1]))
    for part in (image_folder, label_folder):
        if not part.is_dir():
            raise DatasetError(f'{part}: no such folder; expected a CamVid split with '
                               'images/NAME.jpg and labels/NAME.png, or any folder like it')
    images = _images(image_folder)
    labels = _label_names(label_folder, label_set)
    chosen = {name: _labels_of(name, path, labels, label_folder) for name, path in images.items()}
    files = LabelFiles(list(chosen.values()), label_set)
    times = frame_times(list(images), rate_hz=rate_hz, sidecar=folder / SIDECAR)
    frames = [DriveFrame(time.drive, time.time_s, images[name], path, files)
              for time, (name, path) in zip(times.of_frames, chosen.items())]
    notes, of_none = [times.told], _without_image(labels, images)
    if of_none:
        notes.append(f'{len(of_none)} label files have no image, and are left out; the first: '
                     f'{of_none[0].name}')
    return Listing(sorted(frames, key=lambda item: (item.sequence, item.time_s)), files,
                   tuple(notes))


def _images(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Return the images by their names without ending, in natural order."""
    found: dict[str, pathlib.Path] = {}
    for path in sorted(folder.rglob('*'), key=lambda path: natural_key(str(path))):
        if path.suffix.lower() not in FORMATS or not path.is_file():
            continue
        name = path.relative_to(folder).with_suffix('').as_posix()
        if name in found:
            raise DatasetError(f'{path}: {found[name].name} has the same name but for its ending; '
                               'expected one image a name')
        found[name] = path
    if not found:
        raise DatasetError(f'{folder}: no .jpg files, nor others ending in '
                           + ', '.join(list(FORMATS)[1:]))
    return found


def _label_names(folder: pathlib.Path, label_set: LabelSet) -> _Labels:
    kinds = [_PLAIN, _TRAIN_IDS, _IDS, _COLOURS]
    if label_set.file_ids and not label_set.train_ids:
        kinds = [_PLAIN, _IDS, _TRAIN_IDS, _COLOURS]    # it numbers classes as the files came
    labels = _Labels({}, {})
    for path in sorted(folder.rglob('*')):
        if path.suffix.lower() not in (*ENDINGS, '.jpg', '.jpeg') or not path.is_file():
            continue
        name = path.relative_to(folder).with_suffix('').as_posix()
        if _INSTANCES.search(name):
            continue
        other = labels.exact.setdefault(name, path)
        if other != path:
            raise _two(other, path)
        for rank, kind in enumerate(kinds):
            if match := kind.search(name):
                labels.longer.setdefault(name[:match.start()], []).append((rank, path))
                break
    return labels


def _labels_of(name: str, path: pathlib.Path, labels: _Labels, folder: pathlib.Path
               ) -> pathlib.Path:
    for one in (name, _OF_IMAGE.sub('', name)):
        if one in labels.exact:
            return labels.exact[one]
        found = sorted(labels.longer.get(one, []))
        if len(found) > 1 and found[0][0] == found[1][0]:
            raise _two(found[0][1], found[1][1])
        if found:
            return found[0][1]
    raise DatasetError(f'{folder / name}.png: missing, but {path} is there; expected a label file '
                       'of the same name, or with an ending such as _L, _labelIds, _train_id')


def _without_image(labels: _Labels, images: Collection[str]) -> list[pathlib.Path]:
    names = {*images, *(_OF_IMAGE.sub('', name) for name in images)}
    of_images = {path for name, found in labels.longer.items() if name in names
                 for _, path in found}
    return [path for name, path in labels.exact.items()
            if name not in names and path not in of_images]


def _two(first: pathlib.Path, second: pathlib.Path) -> DatasetError:
    return DatasetError(f'{first} and {second.name}: two label files of one image; expected one: '
                        'move the other away')
