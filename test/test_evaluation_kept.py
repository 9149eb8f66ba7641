# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is left of an evaluation that was interrupted; how far it is; and where a model is bad."""

import csv
import json
import pathlib
from typing import Any

import cv2
import numpy as np
import pytest

from lvs_ros.evaluation import progress
from lvs_ros.evaluation.breakdown import by_drive, worst_frames
from lvs_ros.evaluation.clock import SkippingClock
from lvs_ros.evaluation.dataset import Dataset, camvid
from lvs_ros.evaluation.evaluation import Plan, evaluate
from lvs_ros.evaluation.progress import Progress
from lvs_ros.evaluation.report import Report
from lvs_ros.evaluation.run import Runner, RowRun
from lvs_ros.exit_codes import INTERRUPTED
from lvs_ros.model.checkpoint import model_title
from lvs_ros.options import PipelineOptions
from lvs_ros.packed_mask import unpack
from lvs_ros.street import StreetScene
from lvs_ros.tools.cli import main

pytestmark = pytest.mark.usefixtures('one_core', 'no_collections', 'one_pixel_figures')

FRAMES = 3
ROWS = ('fixed', 'adaptive', 'low_latency')


@pytest.fixture(scope='module')
def street(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return two labelled drives of three frames each."""
    folder = tmp_path_factory.mktemp('street') / 'val'
    for part in ('images', 'labels'):
        (folder / part).mkdir(parents=True)
    for drive in ('a', 'b'):
        scene = StreetScene(seed=ord(drive), width=64, height=48)
        for number in range(FRAMES):
            image, labels = scene.render(number / 15)
            name = f'{drive}_{2 * number:05d}.png'
            cv2.imwrite(str(folder / 'images' / name), image[..., ::-1])
            cv2.imwrite(str(folder / 'labels' / name), labels)
    return folder


@pytest.fixture
def options(tiny_model: pathlib.Path) -> PipelineOptions:
    return PipelineOptions(model=str(tiny_model), device='cpu', flip_averaging=False)


def read(folder: pathlib.Path) -> dict[str, Any]:
    return json.loads((folder / 'evaluation.json').read_text(encoding='utf-8'))


def names(found: dict[str, Any]) -> list[str]:
    return [row['name'] for row in found['rows']]


def test_results_are_on_the_disk_after_each_row(street: pathlib.Path, options: PipelineOptions,
                                                tmp_path: pathlib.Path) -> None:
    report = Report(tmp_path / 'out')
    seen: list[tuple[list[str], list[str]]] = []

    def keep(evaluation: Any) -> None:
        report.write(evaluation)
        found = read(tmp_path / 'out')
        seen.append((names(found), found['missing']))

    evaluate(Plan(('low_latency', 'fixed'), options, slow_delay_s=0.1), camvid(street),
             SkippingClock(), on_part=keep)

    order = ['per_frame', 'fixed', 'low_latency']    # that of the table
    assert seen == [(order[:1], [*order[1:], 'deviation']), (order[:2], [order[2], 'deviation']),
                    (order, ['deviation']), (order, [])]
    assert [path.name for path in tmp_path.iterdir()] == ['out']


def interrupted(row: str, street: pathlib.Path, model: pathlib.Path, out: pathlib.Path,
                monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run the command, and interrupt it in this row."""
    run = Runner._run

    def run_or_interrupt(self: Runner, name: str, *rest: Any) -> RowRun:
        if name == row:
            raise KeyboardInterrupt
        return run(self, name, *rest)

    monkeypatch.setattr(Runner, '_run', run_or_interrupt)
    return main(['evaluate', '--camvid', str(street), '--model', str(model), '--device', 'cpu',
                 '--slow-delay-s', '0.1', '--rows', *ROWS, '--out', str(out), *words])


def test_an_interruption_keeps_what_is_there(
        street: pathlib.Path, tiny_model: pathlib.Path, tmp_path: pathlib.Path,
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'out'
    assert interrupted('adaptive', street, tiny_model, out, monkeypatch) == INTERRUPTED

    found = read(out)
    assert names(found) == ['per_frame', 'fixed']
    assert found['missing'] == ['adaptive', 'low_latency', 'deviation']
    printed = capsys.readouterr().out
    assert 'NOT COMPLETE. Missing: adaptive, low_latency, deviation.' in printed
    assert 'fixed schedule' in printed and f'interrupted; {out} holds what there is' in printed
    assert 'NOT COMPLETE' in (out / 'tiny_evaluation.md').read_text(encoding='utf-8')
    with open(out / 'frames.csv', encoding='utf-8', newline='') as file:
        assert {row['row'] for row in csv.DictReader(file)} == {'per_frame', 'fixed'}


def test_an_interruption_of_the_first_row_leaves_nothing(
        street: pathlib.Path, tiny_model: pathlib.Path, tmp_path: pathlib.Path,
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    earlier = tmp_path / 'out'
    earlier.mkdir()
    (earlier / 'evaluation.json').write_text('"earlier"')
    assert interrupted('per_frame', street, tiny_model, earlier, monkeypatch,
                       '--force') == INTERRUPTED
    assert 'before the first row (per_frame) was finished' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['out']
    assert read(earlier) == 'earlier'


def test_progress_tells_how_long_the_rest_takes(monkeypatch: pytest.MonkeyPatch,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    time_s = [1000.0]
    monkeypatch.setattr(progress.time, 'monotonic', lambda: time_s[0])
    shown = Progress(40)
    shown.begin('per_frame')
    for _ in range(10):
        time_s[0] += 13
        shown.update()
    shown.begin('fixed')
    lines = capsys.readouterr().err.splitlines()
    # 10 of 40 frames took 130 s; a line when a row begins, and about once a minute
    assert lines[0].startswith('per_frame, 0 % of all runs')
    assert lines[-1] == 'fixed, 25 % of all runs, 02:10, about 06:30 left'
    assert len(lines) == 4
    Progress().begin('nothing is said without a total')
    assert not capsys.readouterr().err


def naive_miou(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    values = []
    for label in range(11):
        union = sum(int(((truth == label) | ((mask == label) & (truth < 11))).sum())
                    for truth, mask in pairs)
        both = sum(int(((truth == label) & (mask == label)).sum()) for truth, mask in pairs)
        if union:
            values.append(both / union)
    return float(np.mean(values))


def test_accuracy_by_drive_and_by_frame(street: pathlib.Path, options: PipelineOptions) -> None:
    dataset: Dataset = camvid(street)
    runner = Runner(dataset, options, SkippingClock(), 0.1)
    fixed = runner.run('fixed')
    pairs = []
    for frame in fixed.frames:
        labels = dataset.drives[frame.drive].frames[frame.index].load()[1]
        assert labels is not None
        pairs.append((labels, unpack(frame.packed_mask)))

    drives = by_drive(dataset, [runner.reference, fixed])
    assert [(drive.drive, drive.frames, drive.scored) for drive in drives] == [
        ('a', FRAMES, FRAMES), ('b', FRAMES, FRAMES)]
    assert [drive.miou['fixed'] for drive in drives] == pytest.approx(
        [naive_miou(pairs[:FRAMES]), naive_miou(pairs[FRAMES:])])
    for number, first in enumerate((0, FRAMES)):
        late = [(pairs[first + frame.index][0], pairs[first + frame.newest][1])
                for frame in fixed.frames[first:first + FRAMES] if frame.newest is not None]
        assert 0 < len(late) < FRAMES
        assert drives[number].streaming_miou['fixed'] == pytest.approx(naive_miou(late))

    right = [float((truth == mask)[truth < 11].mean()) for truth, mask in pairs]
    worst = worst_frames(dataset, fixed, runner.reference, count=2)
    assert [frame.pixel_accuracy[0] for frame in worst] == pytest.approx(sorted(right)[:2])
    place = int(np.argmin(right))
    assert (worst[0].drive, worst[0].frame) == ('ab'[place // FRAMES], place % FRAMES)
    assert worst[0].image == f'{worst[0].drive}_{2 * worst[0].frame:05d}.png'
    assert worst[0].miou[0] == pytest.approx(naive_miou([pairs[place]]))


def test_a_model_is_called_by_its_file_or_by_the_folder_that_train_made(
        tmp_path: pathlib.Path) -> None:
    for path in (tmp_path / 'my_model' / 'model.safetensors', tmp_path / 'fine.safetensors'):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b'')
    assert model_title(tmp_path / 'my_model' / 'model.safetensors') == 'my_model'
    assert model_title(tmp_path / 'fine.safetensors') == 'fine'
    assert model_title('lite_camvid') == 'lite_camvid'
