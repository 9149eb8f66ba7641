# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Tables of figures, for a terminal and in Markdown."""

import io
from typing import Optional, Sequence

from rich.box import Box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Heads, and the cells of each line; the first column is text, the others are figures."""

WIDTH = 80
"""Columns of a terminal, which the tools keep to."""

_RULE = Box('    \n    \n -- \n    \n    \n    \n    \n    \n', ascii=True)


def text_table(table: Table) -> str:
    """Return a table in plain text, at most :data:`WIDTH` columns wide.

    The columns are as wide as what is in them, two spaces apart; where that is too much, cells go
    on in the next line.
    """
    head, lines = table
    drawn = RichTable(box=_RULE, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for number, title in enumerate(head):
        drawn.add_column(Text(title), justify='right' if number else 'left', overflow='fold')
    for line in lines:
        drawn.add_row(*map(Text, line))
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(drawn)
    return '\n'.join(line.rstrip() for line in capture.get().rstrip('\n').split('\n'))


def markdown_table(table: Table) -> str:
    """Return a table in Markdown."""
    head, lines = table
    rule = ['---', *('--:' for _ in head[1:])]
    return '\n'.join(
        '| ' + ' | '.join(cell.strip().replace('|', r'\|') for cell in cells) + ' |'
        for cells in [head, rule, *lines])


def percent(value: Optional[float], digits: int = 1) -> str:
    """Return a fraction in percent, a dash for None."""
    return '–' if value is None else f'{100 * value:.{digits}f}'


def with_error(value: Optional[float], error: Optional[float]) -> str:
    """Return a fraction in percent with its standard error; a dash for None.

    :param error: None = not known
    """
    return percent(value) + _error(value, error)


def signed(value: Optional[float], error: Optional[float]) -> str:
    """Return a difference of fractions in points with its sign, and its standard error."""
    return '–' if value is None else f'{100 * value:+.1f}' + _error(value, error)


def _error(value: Optional[float], error: Optional[float]) -> str:
    return '' if value is None or error is None else f' ±{100 * error:.1f}'
