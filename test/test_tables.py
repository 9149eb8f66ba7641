# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Tables: their columns stay apart whatever is in them."""

import itertools
import re
import types
from typing import Any, cast

import pytest

from lvs_ros.evaluation.evaluation import Evaluation
from lvs_ros.evaluation.tables import terminal_table
from lvs_ros.tables import markdown_table, text_table

ABSURD = ['1000000000', 'nan', '-inf', '', '29167111035112036', '73.8 ±1.2', '[bold]', '–']


def cells(line: str) -> list[str]:
    return re.split(r' {2,}', line.strip())


@pytest.mark.parametrize('width', [1, 3, 6])
def test_columns_are_as_wide_as_what_is_in_them(width: int) -> None:
    choices = itertools.permutations(ABSURD[:3] + ABSURD[5:], width)
    lines = [[f'row {index}', *row] for index, row in zip(range(9), choices)]

    head, rule, *drawn = text_table((['row', *map(str, range(width))], lines)).splitlines()

    assert cells(head) == ['row', *map(str, range(width))]
    assert set(rule) == {'-'}
    assert [cells(line) for line in drawn] == lines
    ends = {re.sub(r'\S', 'x', line.rstrip()).rfind('x') for line in [head, *drawn]}
    assert len(ends) == 1    # figures stand to the right


@pytest.mark.parametrize('lines', [
    [], [['a', *ABSURD]], [['x' * 300, *['1e9'] * 8]], [['', *[''] * 8]],
    [['a row', *['29167111035112036'] * 8]]])
def test_what_is_too_wide_goes_on_in_the_next_line(lines: list[list[str]]) -> None:
    drawn = text_table((['row', *['a head of words'] * 8], lines)).splitlines()

    assert max(map(len, drawn)) <= 80
    below = drawn[next(index for index, line in enumerate(drawn) if set(line) == {'-'}) + 1:]
    shown = ''.join(re.sub(r'\s', '', line) for line in below)
    # nothing of it is lost
    assert sorted(shown) == sorted(re.sub(r'\s', '', ''.join(itertools.chain(*lines))))


def test_a_table_without_lines_has_its_head() -> None:
    assert text_table((['row', 'ms'], [])).splitlines()[0] == 'row  ms'


def test_a_line_in_a_cell_is_no_line_in_markdown() -> None:
    assert markdown_table((['class', 'IoU'], [['a|b', '1.0']])).splitlines() == [
        '| class | IoU |', '| --- | --: |', r'| a\|b | 1.0 |']


@pytest.mark.parametrize('value', [0.0, 1e9, 29_167_111.0, -1e12, float('nan'), float('inf')])
def test_an_evaluation_with_absurd_figures(value: float) -> None:
    row: dict[str, Any] = dict.fromkeys((
        'miou', 'miou_se', 'streaming_miou', 'streaming_miou_se', 'overtaken', 'difference',
        'difference_se', 'agreement', 'key_rate', 'mean_ms',
        'p99_ms', 'worst_ms', 'compute_mean_ms', 'compute_p99_ms', 'compute_worst_ms'), value)
    rows = [types.SimpleNamespace(name='low_latency', title='low-latency', **row)]

    printed = terminal_table(cast(Evaluation, types.SimpleNamespace(
        rows=rows, perfect_miou=value, is_labelled=True, sweep=None)))

    assert max(map(len, printed.splitlines())) <= 80
    times = next(line for line in printed.splitlines()[::-1] if line.startswith('low'))
    assert len(cells(times)) == 8
