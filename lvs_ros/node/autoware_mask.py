# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``~/mask/autoware``: the mask as Autoware's nodes exchange it.

That is what autoware_tensorrt_yolox publishes and segmentation_pointcloud_fusion of
autoware_image_projection_based_fusion reads: a sensor_msgs/Image whose data are not pixels but
runs of equal pixels, along the rows and on from row to row. A run is one byte, Autoware's id, and
its length as an int32 of the computer's byte order.
"""

from __future__ import annotations

import difflib
import pathlib
from typing import Any, Mapping

import cv2
import numpy as np
import yaml

from lvs_ros.errors import LabelSetError, cut
from lvs_ros.labels import LabelSet
from lvs_ros.node.serialized_images import SerializedHeader, write_image
from lvs_ros.resources import config_dir

CLASSES = ('UNKNOWN', 'BUILDING', 'WALL', 'OBSTACLE', 'TRAFFIC_LIGHT', 'TRAFFIC_SIGN', 'PERSON',
           'VEHICLE', 'BIKE', 'ROAD', 'SIDEWALK', 'ROAD_PAINT', 'CURBSTONE', 'CROSSWALK',
           'VEGETATION', 'SKY')
"""Autoware's classes; the id of each is its place here."""

_RUN = np.dtype([('id', 'u1'), ('length', '=i4')])


def load_ids(name_or_path: str, label_set: LabelSet) -> np.ndarray:
    """Read which class of Autoware each class of ours is.

    :param name_or_path: a name in ``config/autoware/``, or the path of a .yaml file; in it, the
        names of classes and of Autoware's classes.
    :return: (256,) uint8, Autoware's ids by ours; 255 and what is no class: UNKNOWN.
    :raises LabelSetError: it cannot be read, or does not fit the classes.
    """
    path = pathlib.Path(name_or_path)
    if path.suffix not in ('.yaml', '.yml'):
        path = config_dir() / 'autoware' / f'{name_or_path}.yaml'
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        known = ', '.join(sorted(one.stem for one in (config_dir() / 'autoware').glob('*.yaml')))
        raise LabelSetError(f'{path}: cannot be read ({cut(" ".join(str(error).split()), 300)}); '
                            f'expected one of {known}, or the path of a .yaml file') from error
    problems = _problems(content, label_set)
    if problems:
        raise LabelSetError(f'{path}: {"; ".join(problems[:5])}; expected a line for each class '
                            f'of {label_set.name!r}, such as "{label_set.names[0]}: ROAD"')
    ids = np.zeros(256, np.uint8)
    ids[:len(label_set)] = [CLASSES.index(content[name]) for name in label_set.names]
    return ids


def _problems(content: Any, label_set: LabelSet) -> list[str]:
    if not isinstance(content, Mapping):
        return ['it does not map names to names']
    problems = [f'no class of Autoware for {name!r}' for name in label_set.names
                if name not in content]
    for name, theirs in content.items():
        if name not in label_set.names:
            problems.append(f'there is no class {cut(repr(name))}')
        elif theirs not in CLASSES:
            near = difflib.get_close_matches(str(theirs).upper(), CLASSES, n=1)
            problems.append(f'Autoware has no class {cut(repr(theirs))}'
                            + (f' (did you mean {near[0]}?)' if near else
                               f': expected one of {", ".join(CLASSES)}'))
    return problems


def write_autoware_mask(mask: np.ndarray, ids: np.ndarray, header: SerializedHeader) -> bytes:
    """Serialise the message of a mask.

    :param mask: (H, W) uint8 class ids.
    :param ids: (256,) uint8, of :func:`load_ids`.
    :param header: of the image.
    """
    pixels = cv2.LUT(mask, ids).reshape(-1)
    starts = np.concatenate(([0], np.flatnonzero(pixels[1:] != pixels[:-1]) + 1))
    runs = np.empty(len(starts), _RUN)
    runs['id'] = pixels[starts]
    runs['length'] = np.diff(starts, append=len(pixels))
    return write_image(mask, header, data=runs.tobytes())
