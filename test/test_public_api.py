# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a program may import from lvs_ros."""

import pathlib
import re
import subprocess
import sys

import pytest

import lvs_ros

API = pathlib.Path(__file__).resolve().parent.parent / 'docs' / 'api.md'


def test_every_public_name_is_there_and_has_a_docstring() -> None:
    pytest.importorskip('rclpy', reason='rclpy is not installed')
    for name in lvs_ros.__all__:
        assert getattr(lvs_ros, name).__doc__, name
    assert set(lvs_ros.__all__) <= set(dir(lvs_ros))


def test_the_page_names_what_is_public_and_nothing_else() -> None:
    rows = re.findall(r'^\| `(\w+)', API.read_text(encoding='utf-8'), re.MULTILINE)
    assert sorted(rows) == sorted(lvs_ros.__all__)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'lvs_ros' has no attribute 'nothing'"):
        lvs_ros.nothing


def test_the_package_alone_loads_neither_torch_nor_ros() -> None:
    code = "import sys, lvs_ros; sys.exit(bool({'torch', 'rclpy', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, '-c', code]).returncode == 0
