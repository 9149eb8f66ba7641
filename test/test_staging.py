# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Temporary folders: what a killed process left goes, and nothing else."""

import errno
import os
import pathlib
import signal
import subprocess
import sys
from typing import Iterator

import pytest

from lvs_ros.output_folder import output_folder
from lvs_ros.staging import write_whole

MAKE = """
import pathlib, sys
from lvs_ros.output_folder import output_folder
with output_folder(pathlib.Path(sys.argv[1]), marker='done', force=True) as folder:
    folder.mkdir()
    (folder / 'half').write_text('half')
    print('ready', flush=True)
    sys.stdin.read()
    (folder / 'done').write_text('done')
"""


@pytest.fixture
def other(tmp_path: pathlib.Path) -> Iterator['subprocess.Popen[str]']:
    """Give a process that is in the middle of writing tmp_path/other."""
    with subprocess.Popen([sys.executable, '-c', MAKE, str(tmp_path / 'other')], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == 'ready\n'
        yield process
        process.kill()


def names(place: pathlib.Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


def make(path: pathlib.Path) -> None:
    with output_folder(path, marker='done') as folder:
        folder.mkdir()
        (folder / 'done').write_text('done', encoding='utf-8')


def test_what_a_killed_process_left_is_removed(tmp_path: pathlib.Path,
                                               other: 'subprocess.Popen[str]') -> None:
    assert len(names(tmp_path)) == 1
    other.send_signal(signal.SIGKILL)
    other.wait()

    make(tmp_path / 'mine')

    assert names(tmp_path) == ['mine']


def test_what_another_process_is_writing_stays(tmp_path: pathlib.Path,
                                               other: 'subprocess.Popen[str]') -> None:
    make(tmp_path / 'mine')
    write_whole(tmp_path / 'file', b'content')
    other.communicate('')

    assert names(tmp_path) == ['file', 'mine', 'other']
    assert names(tmp_path / 'other') == ['done', 'half']


def test_what_is_not_ours_stays(tmp_path: pathlib.Path, other: 'subprocess.Popen[str]') -> None:
    other.send_signal(signal.SIGKILL)
    other.wait()
    [left] = tmp_path.iterdir()
    lock = (left / 'lock').read_text(encoding='utf-8')
    for name, content in (('.lvs-notes.partial', None), ('.lvs-old.partial', 'of another program'),
                          ('.lvs-far.partial', lock + '-of-another-computer'), ('.lvs', lock),
                          ('lvs-x.partial', lock)):
        (tmp_path / name).mkdir()
        if content is not None:
            (tmp_path / name / 'lock').write_text(content, encoding='utf-8')
    (tmp_path / '.lvs-file.partial').write_text(lock, encoding='utf-8')
    (tmp_path / 'elsewhere').mkdir()
    left.rename(tmp_path / 'elsewhere' / 'kept')
    (tmp_path / '.lvs-link.partial').symlink_to(tmp_path / 'elsewhere' / 'kept')
    (tmp_path / '.lvs-notes.partial' / 'lock').symlink_to(tmp_path / 'elsewhere' / 'kept' / 'lock')
    before = names(tmp_path)

    make(tmp_path / 'mine')

    assert names(tmp_path) == sorted([*before, 'mine'])
    assert names(tmp_path / 'elsewhere' / 'kept') == ['lock', 'new']


def test_what_was_put_aside_comes_back(tmp_path: pathlib.Path,
                                       other: 'subprocess.Popen[str]') -> None:
    other.send_signal(signal.SIGKILL)
    other.wait()
    [left] = tmp_path.iterdir()
    # as if it had been killed between the two renames
    make(tmp_path / 'earlier')
    (left / 'replaced').mkdir(parents=True)
    (left / 'lock').write_text(f'lvs_ros on {os.uname().nodename}', encoding='utf-8')
    (tmp_path / 'earlier').rename(left / 'replaced' / 'earlier')

    make(tmp_path / 'mine')

    assert names(tmp_path) == ['earlier', 'mine']
    assert names(tmp_path / 'earlier') == ['done']


@pytest.mark.parametrize('name', ['lock', 'new', 'replaced', 'a' * 255])
def test_any_name_will_do(tmp_path: pathlib.Path, name: str) -> None:
    make(tmp_path / name)
    write_whole(tmp_path / name / name, b'content')

    assert names(tmp_path) == [name] and names(tmp_path / name) == sorted(['done', name])


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path: pathlib.Path) -> None:
    (tmp_path / 'folder').mkdir()
    with pytest.raises(IsADirectoryError, match=str(tmp_path / 'folder')):
        write_whole(tmp_path / 'folder', b'content')
    with pytest.raises(OSError, match='aaaa') as error:
        write_whole(tmp_path / ('a' * 256), b'content')
    assert error.value.errno == errno.ENAMETOOLONG
    assert names(tmp_path) == ['folder']
