# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Files that appear under their name only when they are complete.

They are made in a temporary folder beside their place. Its owner holds a lock on a file in it,
which the system lets go when the process ends, however that happens: so the next one that writes
to this place knows what was left behind. (A process id would not tell: it is used again, and
means nothing on another computer or in another container.)
"""

import contextlib
import errno
import fcntl
import os
import pathlib
import shutil
import socket
import stat
import tempfile
from typing import IO, Iterator

PREFIX, SUFFIX = '.lvs-', '.partial'
"""The temporary folders are called ``.lvs-XXXXXXXX.partial``."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""What only writing can fail with."""

_LOCK, _REPLACED = 'lock', 'replaced'


@contextlib.contextmanager
def staging_folder(place: pathlib.Path) -> Iterator[pathlib.Path]:
    """Make a temporary folder, and remove it at the end of the block, whatever happens.

    Those of processes that are gone are removed first.

    :param place: the folder that it stands in: a rename to another file system would be a copy,
        which can stop half-way
    :raises OSError: when it cannot be made
    """
    _remove_abandoned(place)
    folder = pathlib.Path(tempfile.mkdtemp(prefix=PREFIX, suffix=SUFFIX, dir=place))
    try:
        with _held_lock(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_whole(path: pathlib.Path, data: bytes) -> None:
    """Write a file; it is complete or, when this fails, as it was before.

    :raises OSError: naming the file
    """
    try:
        with staging_folder(path.parent) as folder:
            partial = folder / 'file'
            partial.write_bytes(data)
            partial.replace(path)
    except OSError as error:    # its name, and not that of the temporary file
        raise OSError(error.errno, error.strerror, str(path)) from error


def replace_folder(folder: pathlib.Path, path: pathlib.Path, staging: pathlib.Path) -> None:
    """Move a folder to its place; what stands there is put aside, and back when this fails.

    :param staging: what :func:`staging_folder` made, beside ``path``; ``folder`` is in it
    """
    aside = staging / _REPLACED / path.name
    aside.parent.mkdir()
    if path.exists():
        path.rename(aside)
    try:
        folder.rename(path)
    except BaseException:
        _put_back(staging)
        raise


def _put_back(staging: pathlib.Path) -> None:
    for aside in (staging / _REPLACED).glob('*'):
        original = staging.parent / aside.name
        if not os.path.lexists(original):
            aside.rename(original)


@contextlib.contextmanager
def _held_lock(folder: pathlib.Path) -> Iterator[None]:
    # It is renamed once it is held, so that no other process finds it unlocked.
    unnamed = folder / f'{_LOCK}.new'
    with open(unnamed, 'w', encoding='utf-8') as file:
        file.write(_owner())
        file.flush()
        with contextlib.suppress(OSError):    # no locks here: the folder will not be removed
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unnamed.rename(folder / _LOCK)
        yield


def _owner() -> str:
    """Some network file systems keep locks to one computer, so its name is part of it."""
    return f'lvs_ros on {socket.gethostname()}'


def _remove_abandoned(place: pathlib.Path) -> None:
    for folder in place.glob(f'{PREFIX}*{SUFFIX}'):
        with contextlib.suppress(OSError), _lock_of(folder) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)    # fails while it has an owner
            if file.read(1000) == _owner().encode():
                _put_back(folder)    # its owner ended between two renames
                shutil.rmtree(folder, ignore_errors=True)


def _lock_of(folder: pathlib.Path) -> IO[bytes]:
    """Open the lock of a folder that is this user's own, following no link.

    :raises OSError: when there is none
    """
    def open_plainly(path: str, flags: int) -> int:
        return os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)

    for path, is_kind in ((folder, stat.S_ISDIR), (folder / _LOCK, stat.S_ISREG)):
        status = os.lstat(path)
        if not is_kind(status.st_mode) or status.st_uid != os.geteuid():
            raise OSError(errno.EPERM, 'not a temporary folder of ours', str(folder))
    return open(folder / _LOCK, 'rb', opener=open_plainly)
