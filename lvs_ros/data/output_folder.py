# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Folders that appear only when they are complete."""

import contextlib
import pathlib
import shutil
import tempfile
from typing import Iterator

from lvs_ros.errors import ConfigurationError


@contextlib.contextmanager
def output_folder(path: pathlib.Path, *, marker: str,
                  force: bool = False) -> Iterator[pathlib.Path]:
    """Give a place to make a folder in; move it to ``path`` once the block is left in good order.

    When the block raises, nothing is left behind and what stood at ``path`` is untouched.

    :param path: the folder to be made; its parents are made where they lack
    :param marker: name of a file that every folder of this kind holds. ``force`` replaces only
        such a folder, so that a mistyped path costs no foreign data
    :param force: replace an earlier folder of this kind
    :return: a path of the same name that does not exist yet and whose parent does
    :raises ConfigurationError: when ``path`` exists and may not be replaced
    """
    path = path.resolve()
    _check_replaceable(path, marker, force)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Beside the target: a rename across file systems is a copy, which can stop half-way.
        staging = pathlib.Path(tempfile.mkdtemp(prefix=f'.{path.name}.', dir=path.parent))
    except OSError as error:
        raise ConfigurationError(f'{path}: cannot be written ({error}); choose another place'
                                 ) from error
    try:
        yield staging / path.name
        _check_replaceable(path, marker, force)
        if path.exists():
            path.rename(staging / 'replaced')
        (staging / path.name).rename(path)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _check_replaceable(path: pathlib.Path, marker: str, force: bool) -> None:
    if not path.exists() and not path.is_symlink():
        return
    if not path.is_dir():
        raise ConfigurationError(f'{path} exists and is not a folder; choose another name')
    if not any(path.iterdir()):
        return
    if not (path / marker).is_file():
        raise ConfigurationError(f'{path} exists and holds other files (no {marker}); it is never '
                                 'replaced, choose another name')
    if not force:
        raise ConfigurationError(f'{path} exists; choose another name, or replace it with --force')
