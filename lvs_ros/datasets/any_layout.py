# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Labelled data of any layout, told by what is there."""

import pathlib
from typing import Optional

from lvs_ros.datasets.camvid import is_labelled_folder, list_folder
from lvs_ros.datasets.cityscapes import list_split
from lvs_ros.datasets.listed import ENDINGS, list_listed
from lvs_ros.datasets.listing import Listing
from lvs_ros.labels import LabelSet


def is_cityscapes(path: pathlib.Path) -> bool:
    """Whether a folder is the root of Cityscapes."""
    return (path / 'leftImg8bit').is_dir()


def is_labelled(path: pathlib.Path) -> bool:
    """Whether a path looks like labelled data, and not like footage."""
    return (path.suffix.lower() in ENDINGS and path.is_file() or is_cityscapes(path)
            or is_labelled_folder(path))


def list_labelled(path: pathlib.Path, label_set: LabelSet, *, split: str,
                  rate_hz: Optional[float] = None) -> Listing:
    """List a .csv or .json list, the root of Cityscapes, or a folder of images/ and labels/.

    :param label_set: of the labels
    :param split: of Cityscapes
    :param rate_hz: images a second, in order; None = by names or list. Cityscapes' is known.
    :raises DatasetError: naming what is missing or does not fit.
    """
    if path.is_file():
        return list_listed(path, label_set, rate_hz=rate_hz)
    if is_cityscapes(path):
        return list_split(path, split, label_set)
    return list_folder(path, label_set, rate_hz=rate_hz)
