# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs benchmark``, whole, with a network of random weights on small images."""

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import sys
import types
from typing import Any, Iterator, NamedTuple

import cv2
import numpy as np
import pytest

from lvs_ros.benchmark.benchmark import Benchmark, run_benchmark
from lvs_ros.benchmark.clip import street_clip
from lvs_ros.benchmark.durations import Durations
from lvs_ros.benchmark.plan import Plan
from lvs_ros.benchmark.report import as_dict
from lvs_ros.benchmark.tables import markdown
from lvs_ros.errors import ConfigurationError
from lvs_ros.evaluation.clock import RealClock
from lvs_ros.pipeline import PipelineOptions
from lvs_ros.tools.cli import main

FRAMES = 6
TRACKS = ('full', 'full_unmirrored', 'fast_alone', 'fast_alone_at_rate', 'fast_contended',
          'fast_contended_back_to_back', 'at_rate')
STEP_STAGES = ['input', 'low', 'deviation', 'kernels', 'convolution', 'adapt_net', 'classifier',
               'output']
WORDS = ('--variant', 'tiny', '--size', '96x64', '--frames', str(FRAMES), '--rate', '100',
         '--device', 'cpu')


@pytest.fixture(scope='module', autouse=True)
def small() -> Iterator[None]:
    """Use one core, whose threads never wait for each other, and a small operator."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('lvs_ros.benchmark.benchmark.PAPER_SHAPE', (16, 8, 12, 3))
        patch.setattr('lvs_ros.benchmark.operators._BUDGET_S', 0.01)
        yield
    os.sched_setaffinity(0, before)


class Run(NamedTuple):
    folder: pathlib.Path
    printed: str
    told: dict[str, Any]


@pytest.fixture(scope='module')
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the command where there is no ROS to be timed."""
    folder = tmp_path_factory.mktemp('benchmark') / 'out'
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, 'lvs_ros.benchmark.over_dds', None)
        patch.setitem(sys.modules, 'lvs_ros.node.image_messages', None)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            assert main(['benchmark', *WORDS, '--out', str(folder)]) == 0
    return Run(folder, printed.getvalue(),
               json.loads((folder / 'benchmark.json').read_text(encoding='utf-8')))


def test_tells_what_was_measured_where(run: Run) -> None:
    assert run.told['model'] == 'tiny' and run.told['random_weights'] is True
    assert run.told['size'] == [96, 64]
    assert run.told['device'].endswith(', 1 core')
    assert run.told['threads'] == {'fast': 1, 'slow': 1, 'in_turns': True}
    assert run.told['images'] == 'synthetic street'


def test_every_track_has_its_frames(run: Run) -> None:
    for name in TRACKS:
        durations = run.told[f'{name}_ms']
        if name == 'fast_contended_back_to_back':
            assert durations['count'] >= FRAMES    # more, until S_h ends
        else:
            assert durations['count'] == FRAMES, name
        assert 0 < durations['p50'] <= durations['p99'] <= durations['worst'], name


def test_s_h_is_measured_alone_and_beside_the_frames(run: Run) -> None:
    for name in ('slow_alone_ms', 'slow_contended_back_to_back_ms'):
        assert run.told[name]['count'] >= 1, name


def test_ratios_follow_from_the_durations(run: Run) -> None:
    told, ratios = run.told, run.told['ratios']
    assert ratios['fast_contended_p99_to_full_p50'] == pytest.approx(
        told['fast_contended_ms']['p99'] / told['full_ms']['p50'], abs=2e-3)
    assert ratios['fast_contended_p99_to_full_unmirrored_p50'] == pytest.approx(
        told['fast_contended_ms']['p99'] / told['full_unmirrored_ms']['p50'], abs=2e-3)
    assert ratios['fast_contended_p99_to_fast_alone_p50'] == pytest.approx(
        told['fast_contended_ms']['p99'] / told['fast_alone_ms']['p50'], abs=2e-3)


def test_stages_are_those_of_the_step_and_of_the_full_network(run: Run) -> None:
    assert list(run.told['stages_ms']) == STEP_STAGES
    assert list(run.told['full_stages_ms']) == [
        'input', 'low', 'propagation', 'classify', 'output']
    for stage, share in run.told['stages_share'].items():
        assert share == pytest.approx(
            run.told['stages_ms'][stage] / sum(run.told['stages_ms'].values()), abs=1e-3)


def test_both_ways_to_convolve_agree(run: Run) -> None:
    for times in run.told['operators']['spatially_variant_convolution']:
        assert 0 <= times['largest_difference'] < 1e-5


def test_what_needs_ros_is_null_where_there_is_none(run: Run) -> None:
    assert run.told['node_ms'] is None and run.told['echo_ms'] is None
    for what in ('The way over DDS was left out: it needs ROS 2',
                 'The stages of messages were left out: they need ROS 2'):
        assert any(note.startswith(what) for note in run.told['notes'])


def test_prints_the_tables_and_writes_all_files(run: Run) -> None:
    assert 'tiny, random weights at 96x64' in run.printed
    assert 'fast track while S_h runs, 100 Hz' in run.printed
    lines = [line for line in run.printed.splitlines()[1:] if str(run.folder) not in line]
    assert max(map(len, lines)) <= 100
    assert sorted(path.name for path in run.folder.iterdir()) == [
        'benchmark.json', 'benchmark.md', 'benchmark.png']
    picture = cv2.imread(str(run.folder / 'benchmark.png'))
    assert picture is not None and len(np.unique(picture.reshape(-1, 3), axis=0)) > 10


@pytest.fixture(scope='module')
def benchmark(tiny_model: pathlib.Path) -> Benchmark:
    """Measure a model file; the figures of the way over DDS are given."""
    plan = Plan(options=PipelineOptions(model=str(tiny_model), device='cpu'), model='tiny',
                random_weights=False, rate_hz=100.0, frames=FRAMES, limit_s=60.0)
    over_dds: Any = types.SimpleNamespace(
        node_ms=Durations(3.0, 4.0, 5.0, 10), echo_ms=Durations(2.0, 3.0, 4.0, 10),
        mask_echo_ms=Durations(1.0, 2.0, 3.0, 10), latency_ms=Durations(13.0, 14.0, 15.0, 10),
        sent=11, masks=10)
    return run_benchmark(plan, street_clip((96, 64), rate_hz=100.0, length=4), RealClock(),
                         measure_dds=lambda: over_dds)


def test_the_way_over_dds_is_told_beside_the_echo(benchmark: Benchmark) -> None:
    told = as_dict(benchmark)
    assert told['node_ms'] == {'p50': 3.0, 'p99': 4.0, 'worst': 5.0, 'count': 10}
    assert told['echo_ms']['p50'] == 2.0 and told['mask_echo_ms']['p50'] == 1.0
    assert told['ratios']['node_p50_to_echo_p50'] == 1.5
    assert '| bare echo of the same image | 2.0 | 3.0 | 4.0 | 10 |' in markdown(benchmark, 'a.png')
    assert '| bare answer as large as a mask | 1.0 |' in markdown(benchmark, 'a.png')


def test_what_was_measured_is_told_where_the_way_over_dds_fails(benchmark: Benchmark) -> None:
    def fail() -> Any:
        raise ConfigurationError('no mask came')

    plan = dataclasses.replace(benchmark.plan, frames=3)
    told = as_dict(run_benchmark(plan, benchmark.clip, RealClock(), measure_dds=fail))
    assert told['full_ms']['count'] == 3 and told['node_ms'] is None
    assert 'The way over DDS could not be measured: no mask came' in told['notes']


def test_notes_what_spoils_the_figures(benchmark: Benchmark) -> None:
    tracks = {**benchmark.tracks,
              'fast_contended': dataclasses.replace(
                  benchmark.tracks['fast_contended'], slow_paused=True),
              'at_rate': dataclasses.replace(benchmark.tracks['at_rate'], kept_up=False)}
    spoiled = dataclasses.replace(benchmark, tracks=tracks, busy_cores=1.4)
    notes = ' '.join(as_dict(spoiled)['notes'])
    assert 'S_h did stand idle' in notes
    assert 'the node would drop some' in notes
    assert '1.4 cores' in notes
    assert as_dict(spoiled)['ratios']['slow_throughput_cut'] is None


@pytest.mark.parametrize('words, expected', [
    (['--rate', '0'], '--rate 0: expected'),
    (['--limit-s', 'nan'], '--limit-s nan: expected'),
    (['--frames', '2'], '--frames 2: expected 3 or more'),
    (['--size', '32x32'], 'the street cannot be drawn'),
    (['--model', 'no_such'], "no model 'no_such'"),
    (['--threshold', '2'], 'threshold: 2.0 is not'),
    (['--cpu-threads', '-1'], 'cpu_threads: -1 is not'),
    (['--device', 'cuda:77'], "device 'cuda:77' cannot be used"),
    (['--topic', '/a'], '--topic'),
    (['--recording', 'no_such.mcap'], 'no_such.mcap: no such file'),
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
