# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Folders that appear only when they are complete."""

import pathlib

import pytest

from lvs_ros.errors import ConfigurationError
from lvs_ros.output_folder import output_folder


def fill(path: pathlib.Path, text: str, *, force: bool = False) -> None:
    with output_folder(path, marker='done.txt', force=force) as folder:
        assert not folder.exists()
        folder.mkdir()
        (folder / 'done.txt').write_text(text, encoding='utf-8')


def content(path: pathlib.Path) -> str:
    return (path / 'done.txt').read_text(encoding='utf-8')


def test_the_folder_and_its_parents_appear(tmp_path: pathlib.Path) -> None:
    fill(tmp_path / 'a' / 'b', 'one')

    assert content(tmp_path / 'a' / 'b') == 'one'
    assert [path.name for path in (tmp_path / 'a').iterdir()] == ['b']


def test_an_empty_folder_is_filled(tmp_path: pathlib.Path) -> None:
    (tmp_path / 'out').mkdir()

    fill(tmp_path / 'out', 'one')

    assert content(tmp_path / 'out') == 'one'


def test_a_failure_leaves_the_earlier_folder_as_it_was(tmp_path: pathlib.Path) -> None:
    fill(tmp_path / 'out', 'one')

    with pytest.raises(RuntimeError, match='half-way'):
        with output_folder(tmp_path / 'out', marker='done.txt', force=True) as folder:
            folder.mkdir()
            (folder / 'done.txt').write_text('two', encoding='utf-8')
            raise RuntimeError('half-way')

    assert content(tmp_path / 'out') == 'one'
    assert [path.name for path in tmp_path.iterdir()] == ['out']


def test_replacing_takes_force_and_a_folder_of_the_same_kind(tmp_path: pathlib.Path) -> None:
    fill(tmp_path / 'out', 'one')
    with pytest.raises(ConfigurationError, match='--force'):
        fill(tmp_path / 'out', 'two')
    fill(tmp_path / 'out', 'two', force=True)
    assert content(tmp_path / 'out') == 'two'

    (tmp_path / 'out' / 'done.txt').rename(tmp_path / 'out' / 'other.txt')
    with pytest.raises(ConfigurationError, match='no done.txt'):
        fill(tmp_path / 'out', 'three', force=True)


def test_a_file_of_that_name_is_kept(tmp_path: pathlib.Path) -> None:
    (tmp_path / 'out').write_text('a file', encoding='utf-8')

    with pytest.raises(ConfigurationError, match='not a folder'):
        fill(tmp_path / 'out', 'one', force=True)

    assert (tmp_path / 'out').read_text(encoding='utf-8') == 'a file'
