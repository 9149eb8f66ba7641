# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The pages of faults name a test for each one, and the test is there."""

import pathlib
import re

TESTS = pathlib.Path(__file__).resolve().parent
PAGES = sorted(TESTS.parent.glob('docs/faults_*.md'))
NAME = re.compile(r'`(test_\w+\.py)::(test_\w+)(?:\[(.+)\])?`')


def rows() -> list[list[str]]:
    """Return the cells of each row."""
    lines = [line for page in PAGES for line in page.read_text(encoding='utf-8').splitlines()]
    cells = [[cell.strip() for cell in re.split(r'(?<!\\)\|', line.strip('|'))] for line in lines
             if line.startswith('|')]
    return [row for row in cells if row != ['fault', 'what happens', 'test']
            and set(row[0]) != {'-'}]


def test_each_fault_has_a_test_that_is_there() -> None:
    seen: dict[str, str] = {}
    for row in rows():
        assert len(row) == 3 and all(row), row
        named = NAME.fullmatch(row[2])
        assert named, f'{row[0]}: expected one test, not {row[2]}'
        file, function, case = named.groups()
        code = (TESTS / file).read_text(encoding='utf-8')
        assert f'\ndef {function}(' in code, f'{row[0]}: {file} has no {function}'
        assert case is None or f"'{case}'" in code, f'{row[0]}: {file} has no case {case}'
        assert seen.setdefault(row[2], row[0]) == row[0], f'{row[2]} stands for two faults'
    assert len(seen) >= 170
