# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Label sets: the names and colours of the classes that a network tells apart."""

import dataclasses
import functools
import pathlib
import reprlib
from typing import Any, Iterable, Mapping, Optional, Sequence, TypeVar

import numpy as np
import yaml

from lvs_ros.errors import LabelSetError
from lvs_ros.resources import config_dir

UNLABELLED = 255
"""The class id of pixels that carry no label; ignored in every loss and metric."""

_MOST_BYTES = 100_000
_LARGEST_ID = 65535    # of a label file of 16 bits
_EXPECTED = ('expected "name: …" and "classes: [{name: road, colour: [128, 64, 128]}, …]"; '
             'docs/data.md has what else it may say')

Colour = tuple[int, int, int]
"""Red, green and blue, 0..255."""

_Key = TypeVar('_Key')


@dataclasses.dataclass(frozen=True)
class LabelSet:
    """Class ids 0, 1, … with their names and display colours, and how label files hold them.

    :param name: what messages and older model files call it
    :param names: one name a class
    :param colours: one (red, green, blue) triple a class, 0..255
    :param ignored: ids in label files that mean unlabelled, besides 255
    :param ignored_colours: colours in label files that mean unlabelled
    :param file_ids: of each class, the ids in label files that mean it; empty = its class id
    :param file_colours: of each class, the colours in label files; empty = its display colour
    :param street: of each class, the classes of the synthetic street that it stands for; empty =
        the one of the same name
    :param train_ids: label files may hold class ids as well as ``file_ids``
    """

    name: str
    names: tuple[str, ...]
    colours: tuple[Colour, ...]
    ignored: tuple[int, ...] = ()
    ignored_colours: tuple[Colour, ...] = ()
    file_ids: tuple[tuple[int, ...], ...] = ()
    file_colours: tuple[tuple[Colour, ...], ...] = ()
    street: tuple[tuple[str, ...], ...] = ()
    train_ids: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.names) <= UNLABELLED:
            raise ValueError(f'{len(self.names)} classes; expected 1 to {UNLABELLED}')
        for name in self.names:
            if self.names.count(name) > 1:
                raise ValueError(f'two classes have the name {name!r}; expected a name of its own '
                                 'for each')
        self.id_table(train_ids=False)
        if self.file_colours:
            self.colour_table()

    def __len__(self) -> int:
        return len(self.names)

    def id_table(self, *, train_ids: bool) -> dict[int, int]:
        """Return the class id, 255 = unlabelled, of every id that a label file may hold.

        :param train_ids: the files hold class ids, whatever ``file_ids`` says
        :raises ValueError: for an id of two meanings.
        """
        if self.file_ids and not train_ids:
            return self._table(self.file_ids, {*self.ignored, UNLABELLED} - set(
                one for ids in self.file_ids for one in ids if one == UNLABELLED), 'id')
        ignored = () if train_ids and self.file_ids else self.ignored
        return self._table([(one,) for one in range(len(self))], {*ignored, UNLABELLED}, 'id')

    def colour_table(self) -> dict[Colour, int]:
        """Return the class id, 255 = unlabelled, of every colour that a label file may hold.

        :raises ValueError: for a colour of two meanings.
        """
        return self._table(self.file_colours or [(one,) for one in self.colours],
                           self.ignored_colours, 'colour')

    def _table(self, of_classes: Iterable[Iterable[_Key]], ignored: Iterable[_Key], what: str
               ) -> dict[_Key, int]:
        table: dict[_Key, int] = {}
        for class_id, keys in [*enumerate(of_classes), (UNLABELLED, ignored)]:
            for key in keys:
                if table.setdefault(key, class_id) != class_id:
                    raise ValueError(
                        f'{what} {key} means both {self.describe(table[key])} and '
                        f'{self.describe(class_id)}; expected one meaning')
        return table

    def describe(self, class_id: int) -> str:
        """Return what to call a class id in a message."""
        return 'unlabelled' if class_id == UNLABELLED else repr(self.names[class_id])

    def difference(self, other: 'LabelSet') -> str:
        """Say how the classes of another set differ in number, name or order; '' = not at all."""
        if self.names == other.names:
            return ''
        counts = (f'{len(self)} classes in {self.name!r} and {len(other)} in {other.name!r}'
                  if len(self) != len(other) else '')
        named = [f'class {index} is {ours!r} in {self.name!r} and {theirs!r} in {other.name!r}'
                 for index, (ours, theirs) in enumerate(zip(self.names, other.names))
                 if ours != theirs]
        more = [f'and {len(named) - 3} more'] if len(named) > 3 else []
        return '; '.join([counts] * bool(counts) + named[:3] + more)

    def content(self) -> dict[str, Any]:
        """Return what a file of this set holds, see :func:`read_label_set`."""
        classes: list[dict[str, Any]] = []
        for index, name in enumerate(self.names):
            entry: dict[str, Any] = {'name': name, 'colour': list(self.colours[index])}
            for key, values in (('ids', self.file_ids), ('colours', self.file_colours),
                                ('street', self.street)):
                if values:
                    entry[key] = [list(one) if isinstance(one, tuple) else one
                                  for one in values[index]]
            classes.append(entry)
        content: dict[str, Any] = {'name': self.name, 'classes': classes}
        if self.ignored:
            content['ignored'] = list(self.ignored)
        if self.ignored_colours:
            content['ignored_colours'] = [list(one) for one in self.ignored_colours]
        if self.train_ids:
            content['train_ids'] = True
        return content

    @functools.cached_property
    def palette(self) -> np.ndarray:
        """(256, 3) uint8 RGB; ids without a class, 255 among them, are black."""
        palette = np.zeros((256, 3), np.uint8)
        palette[:len(self.colours)] = self.colours
        return palette

    def colourise(self, mask: np.ndarray) -> np.ndarray:
        """Turn a mask of class ids into a picture.

        :param mask: (H, W) uint8
        :return: (H, W, 3) uint8 RGB
        """
        return np.take(self.palette, mask, axis=0)

    def overlay(self, image: np.ndarray, mask: np.ndarray, *, alpha: float = 0.5) -> np.ndarray:
        """Blend the colours of a mask over an image.

        :param image: (H, W, 3) uint8 RGB
        :param mask: (H, W) uint8 class ids; unlabelled pixels show the image unchanged
        :param alpha: weight of the colours, 0..1
        :return: (H, W, 3) uint8 RGB
        """
        weight = round(alpha * 256)
        blended = (image.astype(np.uint16) * np.uint16(256 - weight)
                   + self.colourise(mask).astype(np.uint16) * np.uint16(weight)) >> 8
        return np.where((mask < len(self))[..., None], blended.astype(np.uint8), image)


def load_label_set(name_or_path: str) -> LabelSet:
    """Load a label set that comes with the package, or one's own.

    :param name_or_path: 'camvid', 'cityscapes', or the path of a YAML file, see
        :func:`read_label_set`
    :raises LabelSetError: when there is no such label set, or the file is malformed.
    """
    path = pathlib.Path(name_or_path)
    if path.suffix not in ('.yaml', '.yml'):
        path = config_dir() / 'labels' / f'{name_or_path}.yaml'
    if not path.is_file():
        known = ', '.join(sorted(p.stem for p in (config_dir() / 'labels').glob('*.yaml')))
        raise LabelSetError(f'no label set {name_or_path!r}: expected one of {known}, '
                            'or the path of a .yaml file')
    try:
        return read_label_set(_read(path))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, OSError) as error:
        reason = ' '.join(str(error).split())[:300]
        raise LabelSetError(f'{path}: not a label set ({reason}); {_EXPECTED}') from error


def read_label_set(content: Any) -> LabelSet:
    """Make a label set of the content of its file.

    :param content: ``name`` and ``classes``, each with ``name`` and ``colour``, and where they are
        wanted, ``ids``, ``colours`` and ``street``; besides ``ignored``, ``ignored_colours`` and
        ``train_ids``
    :raises ValueError: saying what is wrong with it.
    """
    _expect_keys(content, ('name', 'classes'), ('ignored', 'ignored_colours', 'train_ids'))
    entries = content['classes']
    if not isinstance(entries, list):
        raise ValueError(f'classes are {reprlib.repr(entries)}: expected a list')
    for entry in entries:
        _expect_keys(entry, ('name', 'colour'), ('ids', 'colours', 'street'))
    train_ids = content.get('train_ids', False)
    if not isinstance(train_ids, bool):
        raise ValueError(f'train_ids is {reprlib.repr(train_ids)}: expected true or false')
    colours = tuple(_colour(entry['colour']) for entry in entries)
    return LabelSet(
        name=_text(content['name']), names=tuple(_text(entry['name']) for entry in entries),
        colours=colours, ignored=_ids(content.get('ignored', [])),
        ignored_colours=tuple(map(_colour, _list(content.get('ignored_colours', []), 'colours'))),
        file_ids=_ids_of_files(entries),
        file_colours=_of_each(entries, 'colours', tuple(
            tuple(map(_colour, _list(entry.get('colours', [entry['colour']]), 'colours')))
            for entry in entries)),
        street=_of_each(entries, 'street', tuple(
            tuple(map(_text, _list(entry.get('street', [entry['name']]), 'classes')))
            for entry in entries)),
        train_ids=train_ids)


def labels_of_model(stored: Optional[LabelSet], name: str, classes: int,
                    given: Optional[LabelSet]) -> LabelSet:
    """Return the label set of a model.

    :param stored: in the model's file; None = it is an older one, which has its name alone
    :param name: that name
    :param classes: of the model
    :param given: by the user; may have other colours, and no other names
    :raises LabelSetError: the given set is not that of the model, or there is none.
    """
    if stored is None and given is not None:
        try:
            stored = load_label_set(name)
        except LabelSetError:
            stored = given    # nothing but the count is known
    found = stored or load_label_set(name)
    if given is not None and (difference := found.difference(given)):
        raise LabelSetError(
            f'the label set {given.name!r} has {len(given)} classes, the model {classes}, and '
            f'they are not the same: {difference}; leave the label set away (the model has its '
            'own), or name a set with the same classes in the same order')
    if len(found) != classes:
        raise LabelSetError(
            f'the label set {found.name!r} has {len(found)} classes, the model {classes}; '
            'name the set that the model was trained with')
    return given or found


def comes_with_package(label_set: LabelSet) -> bool:
    """Whether a set has the classes of one that comes with the package."""
    return any(load_label_set(path.stem).names == label_set.names
               for path in (config_dir() / 'labels').glob('*.yaml'))


class _Loader(yaml.SafeLoader):
    """Without merge keys ("<<"), by which a few lines can grow beyond any memory."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        pass


def _read(path: pathlib.Path) -> Any:
    with open(path, 'rb') as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ValueError(f'it has more than {_MOST_BYTES} bytes')
    return yaml.load(data.decode('utf-8-sig'), _Loader)


def _expect_keys(value: Any, keys: Sequence[str], more: Sequence[str]) -> None:
    if not isinstance(value, dict) or not set(keys) <= set(value) <= {*keys, *more}:
        raise ValueError(f'{reprlib.repr(value)}: expected {" and ".join(keys)}, and no more than '
                         + ', '.join(more))


def _list(value: Any, what: str) -> list:
    if not isinstance(value, list):
        raise ValueError(f'{reprlib.repr(value)}: expected a list of {what}')
    return value


def _ids(value: Any) -> tuple[int, ...]:
    values = value if isinstance(value, list) else [value]
    for one in values:
        if type(one) is not int or not 0 <= one <= _LARGEST_ID:
            raise ValueError(f'id {reprlib.repr(one)}: expected whole numbers from 0 to '
                             f'{_LARGEST_ID}')
    return tuple(values)


def _ids_of_files(entries: Sequence[Mapping[str, Any]]) -> tuple[tuple[int, ...], ...]:
    given = [entry for entry in entries if 'ids' in entry]
    if given and len(given) != len(entries):
        without = next(entry['name'] for entry in entries if 'ids' not in entry)
        raise ValueError(f'class {without!r} has no ids, but others have: expected ids of all '
                         'classes, or of none')
    return tuple(_ids(entry['ids']) for entry in given)


_Values = TypeVar('_Values', bound=tuple)


def _of_each(entries: Sequence[Mapping[str, Any]], key: str, values: _Values) -> Any:
    """Return the values where some class has this key, else nothing."""
    return values if any(key in entry for entry in entries) else ()


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError(f'name {reprlib.repr(value)}: expected a text; no, yes, on, off and '
                         'numbers are one in quotes only')
    return value


def _colour(value: Any) -> Colour:
    if not isinstance(value, list) or len(value) != 3 or not all(
            type(channel) is int and 0 <= channel <= 255 for channel in value):
        raise ValueError(f'colour {reprlib.repr(value)}: expected three whole numbers from 0 to '
                         '255')
    red, green, blue = value
    return red, green, blue
