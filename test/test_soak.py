# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs soak``: runs, finds a leak, and takes nothing else for one; faults, and what they find."""

import json
import math
import pathlib
import struct
from typing import Callable, Sequence

import numpy as np
import pytest

from lvs_ros.benchmark.durations import Durations
from lvs_ros.benchmark.errors import BenchmarkError
from lvs_ros.benchmark.faults import findings
from lvs_ros.benchmark.faults.decoder_run import Decoders
from lvs_ros.benchmark.faults.findings import Count, Finding, Run
from lvs_ros.benchmark.faults.messages import Expected, Fault
from lvs_ros.benchmark.faults.node_run import NodeRun
from lvs_ros.benchmark.memory_growth import MemorySample, judge_memory
from lvs_ros.benchmark.soak import SoakRun
from lvs_ros.tools import soak
from lvs_ros.tools.cli import main

pytestmark = pytest.mark.usefixtures('one_pixel_figures')

FRAMES = 10_000


def series(memory: Callable[[float], float], count: int = 400) -> list[MemorySample]:
    """Return samples of a function of the share of the frames, 0..1, MiB."""
    noise = np.random.default_rng(1).uniform(-0.3, 0.3, count)
    return [MemorySample(number * FRAMES // count,
                         500 + memory(number / count) + noise[number - 1])
            for number in range(1, count + 1)]


FLAT = {
    'flat': lambda share: 0.0,
    'grows to its size': lambda share: 80 * min(share / 0.4, 1),
    'steps early': lambda share: 30.0 * (share > 0.1) + 20.0 * (share > 0.3),
    'saw tooth': lambda share: 60 * (share * 23 % 1),
    'one high tooth at the end': lambda share: 100.0 * (0.93 < share < 0.96),
    'one small step': lambda share: 15.0 * (share > 0.8),
    'shrinks': lambda share: -50 * share,
}
GROWING = {
    'steadily': lambda share: 20 * share,
    'in steps': lambda share: 10.0 * int(10 * share),
    'in a saw tooth': lambda share: 60 * (share * 23 % 1) + 40 * share,
    'one great step': lambda share: 100.0 * (share > 0.8),
    'late': lambda share: 300 * max(0.0, share - 0.7),
}


@pytest.mark.parametrize('memory', FLAT.values(), ids=list(FLAT))
def test_what_comes_back_is_flat(memory: Callable[[float], float]) -> None:
    assert judge_memory(series(memory), tolerance=2.0).passes


@pytest.mark.parametrize('memory', GROWING.values(), ids=list(GROWING))
def test_what_goes_on_and_on_is_a_leak(memory: Callable[[float], float]) -> None:
    assert not judge_memory(series(memory), tolerance=2.0).passes


def test_a_leak_is_told_by_the_frame() -> None:
    growth = judge_memory(series(lambda share: FRAMES * share * 2 / 1024), tolerance=2.0)
    assert growth.kibibytes_per_frame == pytest.approx(2.0, abs=0.2)
    assert growth.at_10_percent == pytest.approx(500 + 1000 * 2 / 1024, abs=0.5)
    assert growth.at_50_percent == pytest.approx(500 + 5000 * 2 / 1024, abs=0.5)
    assert growth.at_100_percent == pytest.approx(500 + 10_000 * 2 / 1024, abs=0.5)
    assert judge_memory(series(lambda share: FRAMES * share * 2 / 1024), tolerance=10.0).passes


def test_too_few_samples_tell_nothing() -> None:
    with pytest.raises(BenchmarkError, match='19 samples of memory: expected 20 or more'):
        judge_memory(series(lambda share: 0.0, 19), tolerance=2.0)


def soaked(memory: Sequence[MemorySample]) -> SoakRun:
    return SoakRun(frames=FRAMES, masks=9_998, dropped=1, key_frames=321, slow_failures=0,
                   latency_ms=Durations(30.0, 40.0, 45.5, 61.25, 9_998), memory=tuple(memory),
                   duration_s=330.0)


@pytest.mark.parametrize('case, code', [('flat', 0), ('steadily', 1)])
def test_the_exit_code_tells_whether_memory_grows(
        case: str, code: int, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(soak, 'run_soak', lambda *_, **__: soaked(series((FLAT | GROWING)[case])))
    assert main(['soak', '--out', str(tmp_path / 'out')]) == code
    out, error = capsys.readouterr()
    assert '10000 frames of 480x360, lite_camvid, in 5.5 min' in out
    assert '9998 masks, 2 missed, 1 dropped by the node, 321 key frames' in out
    assert 'p50 30.0 ms, p99 45.5 ms, worst 61.2 ms' in out
    assert ('memory grows over the second half: trend +8.' if code
            else 'memory stays flat') in out
    assert ('lvs soak: memory grows' in error) == bool(code)
    told = json.loads((tmp_path / 'out' / 'soak.json').read_text(encoding='utf-8'))
    assert told['growth']['passes'] == (code == 0)
    assert (told['frames'], told['masks'], len(told['memory'])) == (FRAMES, 9_998, 400)
    assert (tmp_path / 'out' / 'soak.png').read_bytes().startswith(b'\x89PNG')


@pytest.mark.parametrize('words, text', [
    (['--frames', '10'], '--frames 10: expected 40 or more'),
    (['--tolerance', '-1'], '--tolerance -1.0: expected'),
    (['--size', '20x20'], 'within 64x48 and 2048x1024'),
    (['--model', 'missing'], 'missing'),
    (['--faults', '--messages', '10'], '--messages 10: expected 100 or more'),
    (['--faults', '--decodes', '-1'], '--decodes -1: expected 100 or more')])
def test_what_cannot_be_soaked_is_refused(
        ros_domain: int, words: list[str], text: str, tmp_path: pathlib.Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('rclpy', reason='rclpy is not installed')
    assert main(['soak', '--domain-id', str(ros_domain), '--out', str(tmp_path / 'out'),
                 *words]) == 2
    assert text in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_a_short_soak(ros_domain: int, tiny_model: pathlib.Path, tmp_path: pathlib.Path,
                      capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('rclpy', reason='rclpy is not installed')
    out = tmp_path / 'out'
    # Of so few frames, all are of the time in which buffers reach their size.
    assert main(['soak', '--frames', '60', '--size', '96x64', '--model', str(tiny_model),
                 '--tolerance', '1000', '--domain-id', str(ros_domain), '--out', str(out)]) == 0
    told = json.loads((out / 'soak.json').read_text(encoding='utf-8'))
    assert told['frames'] == 60
    assert told['masks'] >= 55, 'an image may get lost on the way, but no more than that'
    assert told['key_frames'] >= 3, 'the first one, and two at the change of the size'
    assert told['slow_failures'] == 0
    assert [frame for frame, _ in told['memory']] == list(range(1, 61))
    assert all(mebibytes > 50 for _, mebibytes in told['memory'])
    assert '60 frames of 96x64, tiny' in capsys.readouterr().out


@pytest.mark.parametrize('expected, size, words', [
    (Expected.NO_MASK, (64, 48), '64x48 came, and none was to come'),
    (Expected.NO_MASK, None, None),
    (Expected.MASK, (64, 48), None),
    (Expected.MASK, (64, 40), '64x48 was to come, and one of 64x40 came'),
    (Expected.MASK, None, 'none came'),
    (Expected.ANY, (1, 1), None), (Expected.ANY, None, None)])
def test_what_must_not_come_of_a_message(
        expected: Expected, size: tuple[int, int] | None, words: str | None) -> None:
    found = findings.complaint(Fault('any', b'', expected, (64, 48)), size)
    assert (found is None) if words is None else (words in str(found))


def test_a_decoder_that_does_harm_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    serialized_images = pytest.importorskip('lvs_ros.node.serialized_images')
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    read, good = serialized_images.read_image, []

    def read_anything(cdr: bytes) -> object:
        if cdr[:2] not in (b'\0\0', b'\0\1'):
            raise struct.error('a bug')
        try:
            good.append(read(cdr))
        except serialized_images.ImageError:
            pass
        return good[-1]    # a part of it was the one before

    monkeypatch.setattr(serialized_images, 'read_image', read_anything)
    run = Decoders(picture, 1, longest_s=math.inf).decode(range(0, 112, 2))
    found = {(one.kind, one.what.split(' of ')[0]) for one in run.findings}
    assert ('data too short', 'a mask') in found
    assert ('unknown encapsulation', 'error: a bug') in found
    assert not {'no fault', 'every encoding', 'odd stamp'} & {kind for kind, _ in found}
    assert all(one.cdr for one in run.findings)


@pytest.mark.parametrize('memory, found, code, words', [
    ('flat', (), 0, 'nothing found, memory stays flat'),
    ('steadily', (), 1, 'memory grows: node of image_raw'),
    ('flat', (Finding('image_raw', 7, 'depth', 'a mask of 8x8 came', b'CDR'),), 1, '1 findings')])
def test_the_exit_code_tells_whether_faults_do_harm(
        memory: str, found: tuple[Finding, ...], code: int, words: str, tmp_path: pathlib.Path,
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run = NodeRun({'depth': Count(1, 99, 5.0)}, list(found), series((FLAT | GROWING)[memory]),
                  topic='image_raw', sentinels=5)
    monkeypatch.setattr(soak, 'probe_nodes', lambda *_, **__: [run])
    monkeypatch.setattr(soak, 'probe_decoders', lambda *_, **__: Run())
    assert main(['soak', '--faults', '--size', '64x48', '--out', str(tmp_path / 'out')]) == code
    out, error = capsys.readouterr()
    assert '100 messages through a node: 1 masks, 99 dropped' in out
    assert words in out and (words in error) == bool(code)
    told = json.loads((tmp_path / 'out' / 'faults.json').read_text(encoding='utf-8'))
    assert told['passes'] == (code == 0)
    assert [one['kind'] for one in told['findings']] == [one.kind for one in found]
    kept = sorted((tmp_path / 'out').glob('messages/*.cdr'))
    assert [path.read_bytes() for path in kept] == [one.cdr for one in found]


def test_a_few_faults(ros_domain: int, tiny_model: pathlib.Path, tmp_path: pathlib.Path,
                      monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip('rclpy', reason='rclpy is not installed')
    # How long something takes, and what memory it needs, is for a long run to say.
    monkeypatch.setattr(findings, 'LONGEST_WAIT_S', math.inf)
    out = tmp_path / 'out'
    code = main(['soak', '--faults', '--messages', '160', '--decodes', '1000', '--size', '64x48',
                 '--model', str(tiny_model), '--tolerance', '1000', '--domain-id',
                 str(ros_domain), '--out', str(out)])
    told = json.loads((out / 'faults.json').read_text(encoding='utf-8'))
    assert code == 0, (told['findings'], told['verdict'])
    runs = {run['topic']: run for run in told['nodes']}
    assert runs.keys() == {'image_raw', 'image_raw/compressed'}
    for run in runs.values():
        assert run['sentinels'] == 4
        assert sum(one['good'] + one['refused'] for one in run['counts'].values()) == 80
        assert all(one['good'] + one['refused'] for one in run['counts'].values()), 'of each kind'
    for run in (*runs.values(), told['decoders']):
        for kind, one in run['counts'].items():
            assert one['good'] if kind.endswith('no fault') else True
            assert one['refused'] if kind.endswith('truncated') else True
    assert sum(one['good'] + one['refused'] for one in told['decoders']['counts'].values()) == 1000
