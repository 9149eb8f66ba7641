# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How the label files of a data set are read: ids, train ids or colours, as its label set says.

The reading is chosen once for all files of a data set, by their names and by a look at some of
them, and it can be told. A file that does not fit the choice is an error, never another reading.
"""

import functools
import pathlib
import re
from typing import Mapping, NamedTuple, Optional, Sequence

import numpy as np

from lvs_ros.datasets.stored_labels import StoredLabels, read_stored_labels
from lvs_ros.errors import DatasetError
from lvs_ros.labels import UNLABELLED, LabelSet

_LOOKED_AT = 16
_NO_MEANING = -1    # in a table of class ids
_TRAIN_IDS = re.compile(r'train_?ids?(?=[_.]|$)', re.IGNORECASE)
_FILE_IDS = re.compile(r'label_?ids?(?=[_.]|$)', re.IGNORECASE)


class _Look(NamedTuple):
    """What a look at a file showed.

    :param kind: of file, in words
    :param coloured: it has three channels
    :param ids: all that it holds; None = its channels differ, so these are colours
    """

    kind: str
    coloured: bool
    ids: Optional[frozenset[int]]


class LabelFiles:
    """The label files of a data set. None is read before a reading is needed.

    :param paths: all of them
    :param label_set: whose class ids are wanted
    """

    def __init__(self, paths: Sequence[pathlib.Path], label_set: LabelSet) -> None:
        self.label_set = label_set
        self._paths = tuple(paths)

    def read(self, path: pathlib.Path) -> np.ndarray:
        """Read one of them.

        :return: (H, W) uint8 class ids, 255 = unlabelled
        :raises DatasetError: naming the file, and the id or colour that means nothing.
        """
        stored = read_stored_labels(path)
        if stored.values.ndim == 3 and self._by_colours:
            labels = self._of_colours(stored, path)
        else:
            labels = self._of_ids(stored, path)
        if stored.transparent is not None:
            labels[stored.transparent] = UNLABELLED
        return labels

    @property
    def description(self) -> str:
        """How they are read, for people."""
        kinds = ', '.join(sorted({look.kind for look in self._looks.values()}))
        kinds = kinds.replace('palette', 'palette (its indices, not its colours)')
        ways = {'colours of the classes' if look.coloured and self._by_colours
                else self._ids_in_words(self._holds_train_ids(path))
                for path, look in self._looks.items()}
        return (f'label files: {kinds}; read as {" and ".join(sorted(ways))} of the label set '
                f'{self.label_set.name!r}')

    def _ids_in_words(self, train_ids: bool) -> str:
        table = self.label_set.id_table(train_ids=train_ids)
        ignored = sorted(one for one, class_id in table.items() if class_id == UNLABELLED)
        what = 'ids' if self.label_set.file_ids and not train_ids else 'class ids'
        return f'{what} ({_ranges(ignored)} = unlabelled)'

    @functools.cached_property
    def _looks(self) -> dict[pathlib.Path, _Look]:
        """Of some files, spread over all."""
        step = max(1, len(self._paths) // _LOOKED_AT)
        return {path: _look(read_stored_labels(path))
                for path in self._paths[::step][:_LOOKED_AT]}

    @functools.cached_property
    def _by_colours(self) -> bool:
        """Whether files of three channels hold colours; three equal channels may hold ids."""
        coloured = {path: look.ids for path, look in self._looks.items() if look.coloured}
        if not coloured:
            return False
        if None in coloured.values():
            return True
        values = {one for ids in coloured.values() for one in ids or ()}
        are_ids = any(values <= set(self.label_set.id_table(train_ids=train_ids))
                      for train_ids in {False, self.label_set.train_ids})
        try:
            are_colours = {(one, one, one) for one in values} <= set(self.label_set.colour_table())
        except ValueError:    # colours of two meanings: no file can be read by them
            are_colours = False
        if are_ids and are_colours:
            raise DatasetError(
                f'{next(iter(coloured))}: holds {sorted(values)} in three equal channels, as all '
                'label files do that were looked at: these are ids, and colours, of '
                f'{self.label_set.name!r}; expected one byte a pixel, if they are ids')
        return are_colours

    @functools.cached_property
    def _colours(self) -> Mapping[tuple[int, int, int], int]:
        try:
            return self.label_set.colour_table() or {(-1, -1, -1): UNLABELLED}    # of no pixel
        except ValueError as error:
            raise DatasetError(f'the label files hold colours, and in the label set '
                               f'{self.label_set.name!r} the {error}') from error

    def _holds_train_ids(self, path: pathlib.Path) -> bool:
        if not (self.label_set.file_ids and self.label_set.train_ids):
            return False
        return bool(_TRAIN_IDS.search(path.name)) or (
            not _FILE_IDS.search(path.name) and self._values_are_train_ids)

    @functools.cached_property
    def _values_are_train_ids(self) -> bool:
        known = set(self.label_set.id_table(train_ids=True))
        return all(look.ids is None or look.ids <= known for look in self._looks.values())

    def _of_ids(self, stored: StoredLabels, path: pathlib.Path) -> np.ndarray:
        ids = stored.grey
        if ids is None:
            raise DatasetError(f'{path}: colours, but the other files of three channels hold ids '
                               'in three equal channels; expected one kind of label files')
        train_ids = self._holds_train_ids(path)
        table = self._id_arrays[train_ids]
        labels = table[ids if ids.dtype == np.uint8 else np.clip(ids, 0, len(table) - 1)]
        wrong = labels == _NO_MEANING
        if wrong.any():
            found, counts = np.unique(ids[wrong], return_counts=True)
            raise DatasetError(
                f'{path}: class id {int(found[0])}; expected {self._expected(train_ids)}. It '
                f'stands in {int(counts[0])} pixels'
                + (f', and {len(found) - 1} other ids mean nothing either' if len(found) > 1
                   else '')
                + ': name the label set of these files with --labels, or list the id there')
        return labels.astype(np.uint8)

    def _expected(self, train_ids: bool) -> str:
        table = self.label_set.id_table(train_ids=train_ids)
        known, ignored = ([one for one, class_id in table.items()
                           if (class_id == UNLABELLED) == unlabelled]
                          for unlabelled in (False, True))
        kind = ('a train id, ' if train_ids else 'a label id, ') if self.label_set.file_ids else ''
        return (f'{kind}{_ranges(known)}, or {_ranges(ignored)} for unlabelled pixels, as the '
                f'label set {self.label_set.name!r} says')

    @functools.cached_property
    def _id_arrays(self) -> dict[bool, np.ndarray]:
        """(65537,) int16: the class id of each id, and none for whatever is larger.

        One for train ids (True), one for what the label set says.
        """
        arrays = {}
        for train_ids in (False, True):
            arrays[train_ids] = np.full(65537, _NO_MEANING, np.int16)
            for one, class_id in self.label_set.id_table(train_ids=train_ids).items():
                arrays[train_ids][one] = class_id
        return arrays

    def _of_colours(self, stored: StoredLabels, path: pathlib.Path) -> np.ndarray:
        if stored.values.dtype != np.uint8:
            raise DatasetError(f'{path}: colours of 16 bits; expected colours of 8 bits, or ids')
        codes = _codes(stored.values)
        known = sorted((_code(colour), class_id) for colour, class_id in self._colours.items())
        keys = np.array([code for code, _ in known])
        place = np.searchsorted(keys, codes).clip(max=len(keys) - 1)
        wrong = keys[place] != codes
        if stored.transparent is not None:
            wrong &= ~stored.transparent
        if wrong.any():
            found, counts = np.unique(codes[wrong], return_counts=True)
            most = int(found[counts.argmax()])
            raise DatasetError(
                f'{path}: the colour ({most >> 16}, {most >> 8 & 255}, {most & 255}) in '
                f'{int(counts.max())} pixels, and {len(found) - 1} other colours, are of no class '
                f'of the label set {self.label_set.name!r}; expected its colours exactly: list '
                'what is missing there (colours, ignored_colours), or export the labels again '
                'without smoothing')
        return np.array([class_id for _, class_id in known], np.uint8)[place]


def _code(colour: Sequence[int]) -> int:
    return colour[0] << 16 | colour[1] << 8 | colour[2]


def _codes(colours: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 → (H, W) int32."""
    wide = colours.astype(np.int32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def _look(stored: StoredLabels) -> _Look:
    ids = stored.grey
    return _Look(stored.kind, stored.values.ndim == 3,
                 None if ids is None else frozenset(np.unique(ids).tolist()))


def _ranges(values: Sequence[int]) -> str:
    """Return '0 to 10, 12' for 0, 1, …, 10, 12."""
    parts: list[list[int]] = []
    for value in sorted(values):
        if parts and value == parts[-1][-1] + 1:
            parts[-1].append(value)
        else:
            parts.append([value])
    words = [f'{part[0]} to {part[-1]}' if len(part) > 2 else ', '.join(map(str, part))
             for part in parts]
    return ', '.join(words)
