# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The tables of results in the documents are those of the files that commands wrote."""

import importlib.util
import json
import pathlib
import re
import shutil
from types import ModuleType

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
RESULTS = REPOSITORY / 'docs' / 'results.md'


@pytest.fixture(scope='module')
def tables() -> ModuleType:
    """Import the script."""
    spec = importlib.util.spec_from_file_location(
        'result_tables', REPOSITORY / 'scripts' / 'result_tables.py')
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lines_of(text: str, name: str) -> list[list[str]]:
    """Return the cells of a marked table, without its head."""
    block = re.search(rf'<!-- table: {name} -->\n(.*?)<!-- /table -->', text, re.DOTALL)
    assert block is not None
    lines = [line for line in block[1].splitlines() if line.startswith('|')]
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in lines[2:]]


def test_pages_have_the_figures_of_the_files(tables: ModuleType) -> None:
    for name in tables.PAGES:
        page = REPOSITORY / name
        text = page.read_text(encoding='utf-8')
        assert tables.filled(text, page.parent) == text, \
            f'{name}: run python scripts/result_tables.py'


def test_figures_are_read_from_the_right_places() -> None:
    told = json.loads((REPOSITORY / 'docs/results/real_time.json').read_text(encoding='utf-8'))
    cells = {line[0]: line for line in lines_of(RESULTS.read_text(encoding='utf-8'), 'real_time')}
    for row in told['rows']:
        line = cells[row['title']]
        assert line[1] == f'{round(100 * row["miou"], 1)} ±{round(100 * row["miou_se"], 1)}'
        assert line[2].split(' ')[0] == f'{round(100 * row["streaming_miou"], 1)}'
        assert line[4] == f'{round(100 * row["key_rate"])}'
        assert line[5] == (f'{round(row["compute_mean_ms"])} / {round(row["compute_p99_ms"])} / '
                           f'{round(row["compute_worst_ms"])}')
    readme = lines_of((REPOSITORY / 'README.md').read_text(encoding='utf-8'), 'summary')
    assert {(line[0], line[1]) for line in readme} <= {
        (line[0], line[1].split(' ')[0]) for line in cells.values()}


@pytest.mark.parametrize('changed', ['page', 'file'])
def test_a_wrong_figure_is_found(changed: str, tables: ModuleType, tmp_path: pathlib.Path) -> None:
    shutil.copytree(REPOSITORY / 'docs' / 'results', tmp_path / 'docs' / 'results')
    text = '<!-- table: real_time -->\n<!-- /table -->\n'
    right = tables.filled(text, tmp_path / 'docs', tmp_path)
    assert tables.filled(right, tmp_path / 'docs', tmp_path) == right
    if changed == 'page':
        wrong = re.sub(r'\| (\d+)\.\d ±', r'| \1.x ±', right, count=1)
        assert wrong != right
        assert tables.filled(wrong, tmp_path / 'docs', tmp_path) == right
    else:
        path = tmp_path / 'docs/results/real_time.json'
        told = json.loads(path.read_text(encoding='utf-8'))
        told['rows'][0]['miou'] += 0.01
        path.write_text(json.dumps(told), encoding='utf-8')
        assert tables.filled(right, tmp_path / 'docs', tmp_path) != right


def test_a_table_that_there_is_not_is_an_error(tables: ModuleType) -> None:
    with pytest.raises(KeyError):
        tables.filled('<!-- table: nothing -->\n<!-- /table -->\n', REPOSITORY)
