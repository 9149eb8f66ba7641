# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Folders of images, in the order of their names."""

import pathlib
import re

from lvs_ros.errors import DatasetError

FORMATS = {'.jpg': 'jpeg', '.jpeg': 'jpeg', '.png': 'png', '.bmp': 'bmp', '.webp': 'webp',
           '.tif': 'tiff', '.tiff': 'tiff'}
"""File name endings that are taken, in any case, with what a CompressedImage calls the format."""


def image_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """List the images of a folder in natural order: numbers by value, frame9 before frame10.

    :raises DatasetError: when there are none
    """
    if not folder.is_dir():
        raise DatasetError(f'{folder}: no such folder')
    files = [path for path in folder.iterdir()
             if path.suffix.lower() in FORMATS and path.is_file()]
    if not files:
        raise DatasetError(f'{folder}: no images; expected files ending in ' + ', '.join(FORMATS))
    return sorted(files, key=lambda path: natural_key(path.name))


def natural_key(name: str) -> list[tuple[int, str]]:
    """Return what to sort names by, so that frame9 comes before frame10."""
    return [(int(part), '') if part.isdigit() else (-1, part)
            for part in re.split(r'([0-9]+)', name)]
