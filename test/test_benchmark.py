# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs benchmark``, whole, with a network of random weights on small images."""

import contextlib
import io
import json
import os
import pathlib
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest

from lvs_ros.tools.cli import main

FRAMES = 4
ROWS = ['full', 'full_flip_averaging', 'fast_alone', 'fast_alone_at_rate', 'fast_contended',
        'fast_contended_back_to_back', 'at_rate']
WORDS = ('--variant', 'tiny', '--size', '96x64', '--frames', str(FRAMES), '--rate', '100',
         '--device', 'cpu', '--no-dds')


class Run(NamedTuple):
    folder: pathlib.Path
    printed: str
    told: dict[str, Any]


@pytest.fixture(scope='module')
def run(tmp_path_factory: pytest.TempPathFactory, no_collections: None) -> Run:
    """Run the command on one core, where threads never wait for each other."""
    folder = tmp_path_factory.mktemp('benchmark') / 'out'
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            assert main(['benchmark', *WORDS, '--out', str(folder)]) == 0
    finally:
        os.sched_setaffinity(0, cores)
    return Run(folder, printed.getvalue(),
               json.loads((folder / 'benchmark.json').read_text(encoding='utf-8')))


def test_tells_what_was_measured_where(run: Run) -> None:
    assert run.told['plan']['model'] == 'tiny, random weights'
    assert run.told['size'] == [96, 64]
    assert run.told['precision'] in ('float32', 'bfloat16')
    assert run.told['peak_rss_bytes'] > 50e6 and run.told['peak_device_bytes'] == 0
    assert 'tiny, random weights at 96x64 (synthetic street) on' in run.printed


def test_every_row_has_its_frames(run: Run) -> None:
    assert list(run.told['rows']) == ROWS
    for name, row in run.told['rows'].items():
        durations = row['step_ms']
        times = 3 if name == 'fast_contended_back_to_back' else 1
        assert durations['count'] == times * FRAMES, name
        assert 0 < durations['p50'] <= durations['p95'] <= durations['p99'] <= durations['worst']


def test_s_h_is_measured_alone(run: Run) -> None:
    alone = run.told['rows']['full']
    assert alone['slow_ms']['count'] == FRAMES
    assert 1e3 / alone['slow_ms']['worst'] <= alone['slow_runs_per_s']
    assert run.told['rows']['fast_alone']['slow_ms'] is None


def test_ratios_follow_from_the_durations(run: Run) -> None:
    ours, full = (run.told['rows'][name]['step_ms'] for name in ('fast_contended', 'full'))
    ratios = run.told['ratios']['fast_contended_to_full']
    assert ratios['p50'] == pytest.approx(ours['p50'] / full['p50'], abs=2e-3)
    assert ratios['p99'] == pytest.approx(ours['p99'] / full['p99'], abs=2e-3)
    assert ratios['p99_to_p50'] == pytest.approx(ours['p99'] / full['p50'], abs=2e-3)
    assert f'{ratios["p50"]:.2f}' in run.printed


def test_stages_are_those_of_the_pipeline(run: Run) -> None:
    for name in ('full', 'fast_alone', 'fast_contended'):
        stages = list(run.told['rows'][name]['stage_ms'])
        assert stages[0] == 'wait' and stages[-1] == 'rest' and 'low' in stages, name
    assert 'S_l ' in run.printed and 'upsample and argmax' in run.printed


def test_prints_tables_of_80_columns_and_writes_all_files(run: Run) -> None:
    assert 'fast track while S_h runs, 100 Hz' in run.printed
    text = (run.folder / 'tiny_random_weights_benchmark.txt').read_text(encoding='utf-8')
    assert run.printed.startswith(text)
    assert max(map(len, text.splitlines())) <= 80
    assert sorted(path.name for path in run.folder.iterdir()) == [
        'benchmark.json', 'tiny_random_weights_benchmark.png',
        'tiny_random_weights_benchmark.txt']
    picture = cv2.imread(str(run.folder / 'tiny_random_weights_benchmark.png'))
    assert picture is not None and len(np.unique(picture)) > 10


@pytest.mark.parametrize('words, expected', [
    (['--rate', '0'], '--rate 0: expected'),
    (['--frames', '2'], '--frames 2: expected 3 or more'),
    (['--size', '32x32'], 'the street cannot be drawn'),
    (['--model', 'no_such'], "no model 'no_such'"),
    (['--threshold', '2'], 'threshold: 2.0 is not between'),
    (['--device', 'cuda:77'], "device 'cuda:77' cannot be used"),
])
def test_refuses_what_cannot_be_measured(words: list[str], expected: str, tmp_path: pathlib.Path,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['benchmark', '--out', str(tmp_path / 'out'), *words]) == 2
    assert f'lvs benchmark: error: {expected}' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_never_replaces_other_files(tmp_path: pathlib.Path,
                                    capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / 'mine.txt').write_text('mine')
    assert main(['benchmark', *WORDS, '--out', str(tmp_path), '--force']) == 2
    assert 'holds other files' in capsys.readouterr().err


def test_model_and_variant_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(['benchmark', '--model', 'mine.safetensors', '--variant', 'tiny'])
    assert exit_.value.code == 2
    assert 'not allowed with' in capsys.readouterr().err
