# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Folders that appear only when they are complete."""

import contextlib
import os
import pathlib
from typing import Iterator

from lvs_ros.errors import ConfigurationError, OutputError
from lvs_ros.staging import NO_ROOM, replace_folder, staging_folder


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
    :raises OutputError: when there is no room
    """
    # not resolve(), for which links in a circle are a RuntimeError
    path = pathlib.Path(os.path.realpath(path))
    with contextlib.ExitStack() as stack:
        try:
            _check_replaceable(path, marker, force)
            path.parent.mkdir(parents=True, exist_ok=True)
            staging = stack.enter_context(staging_folder(path.parent))
            new = staging / 'new' / path.name
            new.parent.mkdir()
        except OSError as error:
            raise ConfigurationError(f'{path}: cannot be written ({error.strerror}); choose '
                                     'another place') from error
        try:
            yield new
            _check_replaceable(path, marker, force)
            replace_folder(new, path, staging)
        except OutputError as error:    # of something in it, which is not yet in its place
            raise OutputError(str(error).replace(str(new), str(path))) from error
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            raise OutputError(f'{path}: cannot be written ({error.strerror}); make room, or '
                              'choose another place') from error


def check_output_folder(path: pathlib.Path, *, marker: str, force: bool) -> None:
    """See beforehand whether :func:`output_folder` can make a folder; raise as it does."""
    class NothingToMake(Exception):
        pass

    with contextlib.suppress(NothingToMake), output_folder(path, marker=marker, force=force):
        raise NothingToMake


def _check_replaceable(path: pathlib.Path, marker: str, force: bool) -> None:
    if not path.exists() and not path.is_symlink():
        return
    if not path.is_dir():
        raise ConfigurationError(f'{path} exists and is not a folder; choose another name')
    if os.path.ismount(path):
        raise ConfigurationError(f'{path} is a mount point, which cannot be replaced; name a '
                                 'folder in it')
    if not any(path.iterdir()):
        return
    if not (path / marker).is_file():
        raise ConfigurationError(f'{path} exists and holds other files (no {marker}); it is never '
                                 'replaced, choose another name')
    if not force:
        raise ConfigurationError(f'{path} exists; choose another name, or replace it with --force')
