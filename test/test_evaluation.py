# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs evaluate`` on a drive through the synthetic street, with a network of random weights."""

import csv
import dataclasses
import itertools
import json
import pathlib
import re
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from lvs_ros.datasets.drive import DriveFrame
from lvs_ros.errors import ConfigurationError, DatasetError
from lvs_ros.evaluation import sweep
from lvs_ros.evaluation.clock import SkippingClock
from lvs_ros.evaluation.dataset import Dataset, camvid, make_dataset
from lvs_ros.evaluation.deviation import deviation_pairs, deviation_samples
from lvs_ros.evaluation.offsets import run_offsets
from lvs_ros.evaluation.rows import ROWS
from lvs_ros.evaluation.run import Runner
from lvs_ros.evaluation.summary import Summariser
from lvs_ros.model import VARIANTS, SegmentationNetwork, load_network, save_network
from lvs_ros.model.checkpoint import rivals_path, save_rivals
from lvs_ros.model.rivals import RIVALS, Rivals
from lvs_ros.options import PipelineOptions
from lvs_ros.packed_mask import unpack
from lvs_ros.pipeline.build import build_pipeline
from lvs_ros.pipeline.forecast import Forecast
from lvs_ros.pipeline.frame import Frame, StepResult
from lvs_ros.pipeline.pipeline import SegmentationPipeline
from lvs_ros.street import StreetScene
from lvs_ros.tools.cli import main

pytestmark = pytest.mark.usefixtures('one_core', 'no_collections')

FRAMES = 12
SIZE = (96, 64)


@pytest.fixture(scope='module')
def street(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return a drive of 12 frames at 15 Hz in the CamVid layout."""
    folder = tmp_path_factory.mktemp('street') / 'val'
    for part in ('images', 'labels'):
        (folder / part).mkdir(parents=True)
    scene = StreetScene(seed=3, width=SIZE[0], height=SIZE[1])
    for number in range(FRAMES):
        image, labels = scene.render(number / 15)
        cv2.imwrite(str(folder / 'images' / f'street_{2 * number:05d}.jpg'), image[..., ::-1])
        cv2.imwrite(str(folder / 'labels' / f'street_{2 * number:05d}.png'), labels)
    return folder


@pytest.fixture(scope='module')
def model(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return a model of random weights that has those of the comparison rows beside it."""
    torch.manual_seed(2)
    path = tmp_path_factory.mktemp('model') / 'tiny.safetensors'
    network = SegmentationNetwork(VARIANTS['tiny']('camvid', 11))
    save_network(network, path)
    rivals = Rivals(network)
    rivals.trained = set(RIVALS)
    save_rivals(rivals, network, rivals_path(path))
    return path


@pytest.fixture
def options(model: pathlib.Path) -> PipelineOptions:
    return PipelineOptions(model=str(model), device='cpu', fixed_interval=3)


@pytest.fixture(scope='module')
def runner(street: pathlib.Path, model: pathlib.Path) -> Runner:
    """Return a runner of all frames, whose per-frame network has run already."""
    options = PipelineOptions(model=str(model), device='cpu', fixed_interval=3)
    return Runner(camvid(street), options, SkippingClock(), 0.1)


def evaluated(street: pathlib.Path, model: pathlib.Path, *words: str) -> int:
    return main(['evaluate', '--camvid', str(street), '--model', str(model), '--device', 'cpu',
                 '--slow-delay-s', '0.1', '--fixed-interval', '3', *words])


def read(folder: pathlib.Path) -> dict[str, Any]:
    return json.loads((folder / 'evaluation.json').read_text(encoding='utf-8'))


def test_the_whole_table(street: pathlib.Path, model: pathlib.Path, tmp_path: pathlib.Path,
                         monkeypatch: pytest.MonkeyPatch,
                         capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sweep, 'INTERVALS', (2, 5))
    out = tmp_path / 'results' / 'street'
    assert evaluated(street, model, '--out', str(out), '--protocol', 'offsets',
                     '--sweep', 'threshold', '0.1', '0.9', '--sweep', 'duration', '0.2'
                     ) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1] == f'written to {out}'
    assert max(map(len, printed[:-1])) <= 80
    found = read(out)

    assert [row['name'] for row in found['rows']] == list(ROWS)
    assert {title for title in (row.title for row in ROWS.values())
            if any(line.startswith(title.split(' (')[0]) for line in printed)} == {
        row.title for row in ROWS.values()}
    assert found['dataset'] == 'camvid val' and found['model'] == 'tiny'
    assert found['device'] == 'cpu' and found['clock'] == 'simulated'
    assert found['rate_hz'] == pytest.approx(15)
    by_name = {row['name']: row for row in found['rows']}
    reference = by_name['per_frame']
    assert reference['agreement'] == reference['agreement_miou'] == reference['key_rate'] == 1
    assert reference['difference'] == 0
    # 12 frames from key frame to key frame in threes
    assert by_name['fixed']['key_rate'] == by_name['clockwork']['key_rate'] == pytest.approx(1 / 3)
    for row in found['rows']:
        assert row['frames'] == row['labelled_frames'] == FRAMES
        assert row['difference'] == pytest.approx(row['miou'] - reference['miou'])
        assert row['worst_ms'] >= row['p99_ms'] > 0 and row['worst_ms'] >= row['mean_ms'] > 0
        assert row['miou'] == pytest.approx(
            np.mean([value for value in row['iou'].values() if value is not None]))

    assert sorted(path.name for path in out.iterdir()) == [
        'drives.csv', 'evaluation.json', 'frames.csv', 'tiny_deviation.png',
        'tiny_evaluation.md', 'tiny_masks.png', 'tiny_scatter.png', 'tiny_streaming.png',
        'tiny_sweep.png']
    assert [path.name for path in out.parent.iterdir()] == ['street']
    with open(out / 'frames.csv', encoding='utf-8', newline='') as file:
        assert sum(row['row'] == 'fixed' for row in csv.DictReader(file)) == FRAMES
    assert '| GRFP(5) |' in (out / 'tiny_evaluation.md').read_text(encoding='utf-8')
    assert str(street.parent) not in (out / 'evaluation.json').read_text(encoding='utf-8')
    for path in out.glob('*.png'):
        assert cv2.imread(str(path)) is not None

    assert any(line.startswith('perfect') for line in printed)
    for name, setting in itertools.product(('adaptive', 'low-latency'), ('0.1', '0.9')):
        assert any(line.split()[:2] == [name, setting] for line in printed)
    durations = found['streaming_miou_by_duration']
    assert durations.pop('full_s') == [0.2]
    assert {name: len(values) for name, values in durations.items()} == dict.fromkeys(
        ('per_frame', 'small_per_frame', 'small_per_frame_forecast', 'low_latency',
         'low_latency_forecast'), 1)

    assert [entry['name'] for entry in found['offsets']] == [
        'clockwork', 'deep_feature_flow', 'fixed']
    assert {name: len(points) for name, points in found['sweep']['curves'].items()} == {
        'adaptive': 2, 'low_latency': 2, 'fixed': 3}
    assert [entry['threshold'] for entry in found['sweep']['equal_key_rate']] == [0.1, 0.9]


def test_simulated_time_gives_the_same_masks_again(street: pathlib.Path,
                                                   options: PipelineOptions) -> None:
    dataset = camvid(street)
    masks = [[unpack(frame.packed_mask) for frame in
              Runner(dataset, options, SkippingClock(), 0.1).run('low_latency').frames]
             for _ in range(2)]
    np.testing.assert_array_equal(masks[0], masks[1])


def test_a_row_is_scored_as_the_pipeline_labels(street: pathlib.Path, runner: Runner,
                                                options: PipelineOptions) -> None:
    dataset = camvid(street)
    fixed, reference = runner.run('fixed'), runner.reference
    equal = []
    with build_pipeline(dataclasses.replace(options, schedule='fixed')) as pipeline, \
            build_pipeline(dataclasses.replace(options, schedule='every_frame')) as per_frame:
        for source, result in zip(dataset.drives[0].frames, fixed.frames):
            image, labels = source.load()
            assert labels is not None
            frame = Frame(image, round(source.time_s * 1e9))
            mask = pipeline.step(frame).mask
            equal.append(np.mean(mask == per_frame.step(frame).mask))
            np.testing.assert_array_equal(unpack(result.packed_mask), mask)
            assert result.confusion is not None
            assert np.trace(result.confusion) == np.sum(mask == labels)
    row = Summariser(dataset, reference).summarise(fixed)
    assert row.agreement == pytest.approx(np.mean(equal))
    assert row.miou_se is None       # less than three blocks of a second


def labels_of(dataset: Dataset) -> list[np.ndarray]:
    labels = [frame.load()[1] for frame in dataset.drives[0].frames]
    return [one for one in labels if one is not None]


def scores(labels: list[np.ndarray], masks: list[np.ndarray], newest: list[int]) -> float:
    """Return the mIoU of masks[newest[i]] against labels[i + 1]."""
    counts = np.zeros((11, 11), int)
    for truth, number in zip(labels[1:], newest, strict=True):
        known = truth < 11
        np.add.at(counts, (truth[known], masks[number][known]), 1)
    union = counts.sum(0) + counts.sum(1) - counts.diagonal()
    return float(np.mean(counts.diagonal()[union > 0] / union[union > 0]))


def test_the_newest_mask_is_scored_against_the_present(street: pathlib.Path,
                                                       options: PipelineOptions) -> None:
    dataset = camvid(street)
    runner = Runner(dataset, dataclasses.replace(options, flip_averaging=False), SkippingClock(),
                    0.1, full_s=0.18)
    summarise = Summariser(dataset, runner.reference).summarise
    labels = labels_of(dataset)
    # Frames come every 66.7 ms. Frame 1 is computed from 67 to 247 ms, frame 3 of 200 ms until
    # 427, frame 6 of 400 ms until 607, frame 9 of 600 ms until 787, after the last.
    masks = [unpack(frame.packed_mask) for frame in runner.reference.frames]
    newest = [0, 0, 0, 1, 1, 1, 3, 3, 3, 6, 6]
    assert [frame.newest for frame in runner.reference.frames] == [None, *newest]
    row = summarise(runner.reference)
    assert row.streaming_miou == pytest.approx(scores(labels, masks, newest))
    assert row.overtaken == pytest.approx(1 - 6 / FRAMES)    # 0, 1, 3, 6, 9 and 11
    # A propagated frame takes 45 ms: that of the frame before is there.
    low_latency = runner.run('low_latency')
    masks = [unpack(frame.packed_mask) for frame in low_latency.frames]
    row = summarise(low_latency)
    assert row.streaming_miou == pytest.approx(scores(labels, masks, list(range(FRAMES - 1))))
    assert row.overtaken == 0
    assert row.streaming_miou != pytest.approx(row.miou)


def test_rows_that_look_ahead(street: pathlib.Path, options: PipelineOptions,
                              monkeypatch: pytest.MonkeyPatch) -> None:
    def forecast(self: SegmentationPipeline, frame: Frame, result: StepResult) -> Forecast:
        return Forecast(np.full_like(result.mask, frame.stamp_ns // 66_000_000 % 11), None, 0)

    monkeypatch.setattr(SegmentationPipeline, 'forecast', forecast)
    dataset = camvid(street)
    runner = Runner(dataset, options, SkippingClock(), 0.05)
    plain, ahead = (Summariser(dataset, runner.reference).summarise(runner.run(name))
                    for name in ('low_latency', 'low_latency_forecast'))
    assert (ahead.miou, ahead.agreement) == (plain.miou, plain.agreement)
    forecasts = [np.full(SIZE[::-1], number % 11, np.uint8) for number in range(FRAMES)]
    assert ahead.streaming_miou == pytest.approx(
        scores(labels_of(dataset), forecasts, list(range(FRAMES - 1))))


def test_unlabelled_frames_are_run_but_not_scored(street: pathlib.Path, runner: Runner,
                                                  options: PipelineOptions) -> None:
    frames = [frame if index % 4 == 3 else frame.without_labels()
              for index, frame in enumerate(camvid(street).drives[0].frames)]
    sparse = make_dataset('street', 'camvid', frames)
    of_sparse = Runner(sparse, options, SkippingClock(), 0.1)
    fixed = of_sparse.run('fixed')
    summary = Summariser(sparse, of_sparse.reference).summarise(fixed)
    assert (summary.frames, summary.labelled_frames) == (FRAMES, 3)
    assert [frame.packed_mask for frame in fixed.frames] == [
        frame.packed_mask for frame in runner.run('fixed').frames]
    assert [frame.index for frame in fixed.frames if frame.confusion is not None] == [3, 7, 11]


def test_the_real_clock_runs_s_h_in_the_background(street: pathlib.Path,
                                                   options: PipelineOptions) -> None:
    dataset = camvid(street, limit=4, rate_hz=1000)
    runner = Runner(dataset, options,
                    SkippingClock())
    run = runner.run('low_latency', threshold=0.0)
    assert [frame.status.key_frame for frame in run.frames] == [True] * 4
    # the frames come so fast that S_h cannot be done with the last of them
    assert run.frames[-1].status.slow_track_busy or run.frames[-1].status.slow_track_ms is not None
    assert 'slow_delay_s' not in run.settings


def test_offsets_are_distances_from_the_key_frame(street: pathlib.Path, runner: Runner,
                                                  options: PipelineOptions) -> None:
    dataset = camvid(street, limit=5)
    found = run_offsets('clockwork', options, dataset)
    per_frame = runner.reference    # of each frame by itself
    labels = [frame.load()[1] for frame in dataset.drives[0].frames]
    assert found.frames == 3
    # Clockwork holds the key frame's features: its mask is the key frame's.
    for offset, value in enumerate(found.miou):
        counts = np.zeros((11, 11), int)
        for target in (2, 3, 4):
            mask = unpack(per_frame.frames[target - offset].packed_mask)
            truth = labels[target]
            assert truth is not None
            np.add.at(counts, (truth, mask), 1)
        union = counts.sum(0) + counts.sum(1) - counts.diagonal()
        iou = counts.diagonal()[union > 0] / union[union > 0]
        assert value == pytest.approx(np.mean(iou))
    assert found.average == pytest.approx(np.mean(found.miou))
    assert found.minimum == min(found.miou)


def test_offsets_need_the_frames_before(street: pathlib.Path, options: PipelineOptions) -> None:
    with pytest.raises(DatasetError, match='has 2 frames before it'):
        run_offsets('clockwork', options, camvid(street, limit=2))


def test_true_deviation_is_the_share_of_changed_labels(street: pathlib.Path, runner: Runner,
                                                       options: PipelineOptions) -> None:
    dataset = camvid(street)
    masks = [unpack(frame.packed_mask) for frame in runner.reference.frames]
    pairs = deviation_pairs(options, dataset, runner.reference, distances=(1, 5))
    assert [(pair.index, pair.distance) for pair in pairs] == [
        (index, distance) for index in range(FRAMES) for distance in (1, 5) if distance <= index]
    network = load_network(options.model)

    def low(index: int) -> torch.Tensor:
        image = torch.from_numpy(dataset.drives[0].frames[index].load()[0])
        return network.low(image.permute(2, 0, 1)[None].float())

    with torch.inference_mode():
        for pair in pairs[-2:]:
            earlier = pair.index - pair.distance
            assert pair.true == pytest.approx(np.mean(masks[earlier] != masks[pair.index]))
            assert pair.predicted == pytest.approx(
                float(network.deviation(low(earlier), low(pair.index))), abs=1e-4)

    # over time: against the key frame that was there when the frame came
    samples = deviation_samples(runner.run('fixed'), runner.reference)
    assert samples[0].true_deviation is None
    for index in range(1, FRAMES):
        key = (index - 1) // 3 * 3
        assert samples[index].true_deviation == pytest.approx(np.mean(masks[key] != masks[index]))


def test_frames_are_sorted_into_drives() -> None:
    path = pathlib.Path('image.png')
    frames = [DriveFrame('a', 5.0, path, path), DriveFrame('a', 5.5, path),
              DriveFrame('b', 2.0, path, path)]
    own = make_dataset('data', 'camvid', frames)
    assert [drive.stamps_ns for drive in own.drives] == [(0, 500_000_000), (0,)]
    assert own.rate_hz == pytest.approx(2)
    faster = make_dataset('data', 'camvid', frames, rate_hz=10)
    assert [drive.stamps_ns for drive in faster.drives] == [(0, 100_000_000), (0,)]
    assert make_dataset('data', 'camvid', frames, limit=2).frame_count == 2


def test_what_cannot_be_measured_is_refused() -> None:
    unlabelled = [DriveFrame('a', 0.0, pathlib.Path('image.png'))]
    with pytest.raises(DatasetError, match='none of the 1 frames taken is labelled'):
        make_dataset('data', 'camvid', unlabelled)
    with pytest.raises(ConfigurationError, match='limit is 0'):
        make_dataset('data', 'camvid', unlabelled, limit=0)
    with pytest.raises(ConfigurationError, match='rate is -1'):
        make_dataset('data', 'camvid', unlabelled, rate_hz=-1)


def test_frames_of_two_sizes_are_named(street: pathlib.Path, tmp_path: pathlib.Path) -> None:
    dataset: Dataset = camvid(street)
    other = tmp_path / 'other.png'
    cv2.imwrite(str(other), np.zeros((10, 20, 3), np.uint8))
    drive = dataset.drives[0]
    wrong = dataclasses.replace(drive.frames[1], image_path=other, label_path=None)
    with pytest.raises(DatasetError, match=r'other.png: 20x10 pixels, but .*_00000.jpg has 96x64'):
        dataclasses.replace(drive, frames=(drive.frames[0], wrong)).load()


@pytest.mark.parametrize('words, reason', [
    (('--threshold', '1.5'), 'threshold: 1.5 is not between 0 and 1'),
    (('--sweep', 'threshold', '0.1', '7'), 'threshold: 7.0 is not between'),
    (('--sweep', 'threshold', 'low'), "could not convert string to float: 'low'"),
    (('--sweep', 'rate'), 'expected "threshold"'),
    (('--sweep', 'duration', '0'), '--sweep duration 0: expected seconds, more than 0'),
    (('--full-s', '0.05'), 'at least 0.1 s, that of S_h'),
    (('--fixed-interval', '0'), 'fixed_interval: 0 is not between'),
    (('--camvid', 'nowhere'), 'nowhere/images: no such folder'),
    (('--slow-delay-s', '-1'), 'duration of S_h is -1'),
])
def test_errors_say_what_is_wrong(street: pathlib.Path, model: pathlib.Path,
                                  tmp_path: pathlib.Path, words: tuple[str, ...], reason: str,
                                  capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluated(street, model, *words, '--out', str(tmp_path / 'out')) == 2
    assert reason in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_old_name_of_a_protocol_tells_the_new_one(
        street: pathlib.Path, model: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match='2'):
        evaluated(street, model, '--protocol', 'streaming')
    assert "is called 'drive' now" in capsys.readouterr().err


def test_a_model_of_other_classes_is_refused(street: pathlib.Path, tmp_path: pathlib.Path,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / 'model.safetensors'
    save_network(SegmentationNetwork(VARIANTS['tiny']('cityscapes', 19)), path)
    assert evaluated(street, path, '--rows', 'per_frame') == 2
    assert "19 classes of 'cityscapes', the data camvid val 11 of 'camvid'" in (
        capsys.readouterr().err)


@pytest.mark.usefixtures('one_pixel_figures')
def test_rows_without_their_weights(street: pathlib.Path, tiny_model: pathlib.Path,
                                    tmp_path: pathlib.Path,
                                    capsys: pytest.CaptureFixture[str]) -> None:
    # asked for by name: an error; otherwise they are left out, and that is said
    assert evaluated(street, tiny_model, '--rows', 'grfp5') == 2
    assert 'grfp5, small_per_frame and small_per_frame_half need weights' in (
        capsys.readouterr().err)
    out = tmp_path / 'out'
    assert evaluated(street, tiny_model, '--limit', '3', '--out', str(out)) == 0
    assert 'left out: grfp5, small_per_frame, ' in (
        capsys.readouterr().err)
    assert [row['name'] for row in read(out)['rows']] == [
        'clockwork', 'deep_feature_flow', 'per_frame', 'fixed', 'adaptive', 'low_latency',
        'low_latency_forecast']


def test_refined_masks_are_as_good_as_the_full_network(
        street: pathlib.Path, model: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ('--rows', 'per_frame', '--limit', '5', '--no-flip-averaging', '--refined-mask')
    assert evaluated(street, model, *words, '--threshold', '0', '--rate', '1') == 0
    printed = capsys.readouterr().out
    in_full = re.search(r'\nper-frame +([0-9.]+)', printed)
    refined = re.search(r'with refined masks: mIoU ([0-9.]+) %; 4 of 5 frames', printed)
    assert in_full is not None and refined is not None and in_full[1] == refined[1]

    assert main(['evaluate', '--camvid', str(street), '--refined-mask']) == 2
    assert '--refined-mask needs --slow-delay-s' in capsys.readouterr().err


@pytest.mark.usefixtures('one_pixel_figures')
def test_an_earlier_evaluation_is_replaced_only_when_told(
        street: pathlib.Path, tiny_model: pathlib.Path, tmp_path: pathlib.Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    words = ('--rows', 'per_frame', '--limit', '1', '--out', str(tmp_path / 'out'))
    assert evaluated(street, tiny_model, *words) == 0
    assert read(tmp_path / 'out')['deviation_spearman'] is None
    assert evaluated(street, tiny_model, *words) == 2
    assert '--force' in capsys.readouterr().err
    assert evaluated(street, tiny_model, *words, '--force') == 0
