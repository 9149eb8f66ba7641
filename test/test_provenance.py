# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a file of results says of its making."""

import pathlib
import subprocess

from lvs_ros.provenance import commit


def git(folder: pathlib.Path, *words: str) -> str:
    """Run git; return what it printed."""
    return subprocess.run(
        ['git', '-C', str(folder), '-c', 'user.name=a', '-c', 'user.email=a@example.com', *words],
        capture_output=True, text=True, check=True).stdout.strip()


def test_the_commit_is_told(tmp_path: pathlib.Path) -> None:
    git(tmp_path, 'init', '-q')
    (tmp_path / 'a').write_text('1')
    git(tmp_path, 'add', 'a')
    git(tmp_path, 'commit', '-qm', 'First')
    short = commit(tmp_path)
    assert short and git(tmp_path, 'rev-parse', 'HEAD').startswith(short)
    git(tmp_path, 'tag', 'v1')    # a name would say less
    assert commit(tmp_path) == short
    (tmp_path / 'a').write_text('2')
    assert commit(tmp_path) == f'{short}-dirty'


def test_a_folder_within_another_checkout_has_none(tmp_path: pathlib.Path) -> None:
    git(tmp_path, 'init', '-q')
    (tmp_path / 'installed').mkdir()
    assert commit(tmp_path / 'installed') is None
