# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Label sets: the names and colours of the classes that a network tells apart."""

import dataclasses
import functools
import pathlib
import reprlib
from typing import Any

import numpy as np
import yaml

from lvs_ros.errors import LabelSetError
from lvs_ros.resources import config_dir

UNLABELLED = 255
"""The class id of pixels that carry no label; ignored in every loss and metric."""

_MOST_BYTES = 100_000


@dataclasses.dataclass(frozen=True)
class LabelSet:
    """Class ids 0, 1, … with their names and display colours.

    :param name: what model files refer to it by
    :param names: one name a class
    :param colours: one (red, green, blue) triple a class, 0..255
    """

    name: str
    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]

    def __len__(self) -> int:
        return len(self.names)

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

    :param name_or_path: 'camvid', 'cityscapes', or the path of a YAML file of the same layout:
        ``name: …`` and ``classes: [{name: road, colour: [128, 64, 128]}, …]``
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
        content = _read(path)
        _expect_keys(content, ('name', 'classes'))
        name = _text(content['name'])
        if not isinstance(content['classes'], list):
            raise ValueError(f'classes are {reprlib.repr(content["classes"])}: expected a list')
        for entry in content['classes']:
            _expect_keys(entry, ('name', 'colour'))
        names = tuple(_text(entry['name']) for entry in content['classes'])
        colours = tuple(_colour(entry['colour']) for entry in content['classes'])
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, OSError) as error:
        reason = ' '.join(str(error).split())[:300]
        raise LabelSetError(
            f'{path}: not a label set ({reason}); expected "name: …" and '
            '"classes: [{name: road, colour: [128, 64, 128]}, …]"') from error
    if not 1 <= len(names) <= UNLABELLED:
        raise LabelSetError(f'{path}: {len(names)} classes; expected 1 to {UNLABELLED}')
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise LabelSetError(f'{path}: two classes have the name {twice[0]!r}; expected a name of '
                            'its own for each')
    return LabelSet(name=name, names=names, colours=colours)


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


def _expect_keys(value: Any, keys: tuple[str, ...]) -> None:
    if not isinstance(value, dict) or set(value) != set(keys):
        raise ValueError(f'{reprlib.repr(value)}: expected {" and ".join(keys)}, and no more')


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError(f'name {reprlib.repr(value)}: expected a text; no, yes, on, off and '
                         'numbers are one in quotes only')
    return value


def _colour(value: Any) -> tuple[int, int, int]:
    if not isinstance(value, list) or len(value) != 3 or not all(
            type(channel) is int and 0 <= channel <= 255 for channel in value):
        raise ValueError(f'colour {reprlib.repr(value)}: expected three whole numbers from 0 to '
                         '255')
    red, green, blue = value
    return red, green, blue
