# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Options of a training: its file, the weights of classes, and what the model file says of it."""

import argparse
import pathlib

import cv2
import numpy as np
import pytest
import torch
import yaml

from lvs_ros import __version__
from lvs_ros.errors import ConfigurationError
from lvs_ros.model import load_network, read_notes
from lvs_ros.tools.cli import main
from lvs_ros.tools.train import add_arguments, with_files
from lvs_ros.training.class_weights import chosen_weights
from lvs_ros.training.stage_log import read_validations

pytestmark = pytest.mark.usefixtures('one_thread', 'bare_training')

NAMES = ('road', 'car', 'person')
WIDTH, HEIGHT = 64, 48


# --- weights of the classes


def counts(*frames: tuple[int, int, int]) -> np.ndarray:
    found = np.zeros((len(frames), 256), np.int64)
    found[:, :3] = frames
    found[:, 255] = 1000    # unlabelled
    return found


def test_median_frequency_by_hand() -> None:
    # road: 90 + 60 of 200 pixels; car: 10 + 30 of 200; person: 10 of the 100 of its frame
    weights = chosen_weights(['median-frequency'], NAMES, counts((90, 10, 0), (60, 30, 10)))
    torch.testing.assert_close(weights, torch.tensor([0.2 / 0.75, 1.0, 0.2 / 0.1]))
    weights = chosen_weights(['median-frequency'], NAMES, counts((75, 25, 0)))
    torch.testing.assert_close(weights, torch.tensor([0.5 / 0.75, 0.5 / 0.25, 1.0]))


@pytest.mark.parametrize('words, expected', [
    (['none'], [1, 1, 1]), (['0.5', '1', '3'], [0.5, 1, 3]), (['person=3'], [1, 1, 3]),
    (['person=3', 'road=0'], [0, 1, 3])])
def test_weights_that_are_given(words: list[str], expected: list[float]) -> None:
    assert chosen_weights(words, NAMES, counts((1, 1, 1))).tolist() == expected


@pytest.mark.parametrize('words, reason', [
    (['1', '2'], '2 numbers, the label set 3 classes'), (['bus=2'], "'bus' is none of"),
    (['person=-1'], "'-1' is no weight"), (['person=nan'], "'nan' is no weight"),
    (['often'], "'often' is no weight"), (['0', '0', '0'], 'are all 0'),
    (['none', '1', '2'], "'none' is no weight"), (['1', 'car=2', '3'], "'1' is none of")])
def test_weights_that_are_none(words: list[str], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        chosen_weights(words, NAMES, counts((1, 1, 1)))


# --- the command


@pytest.fixture
def data(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return two drives of four frames: below dark and class 3, above bright and class 0."""
    folder = tmp_path / 'data'
    for part in ('images', 'labels'):
        (folder / part).mkdir(parents=True)
    random = np.random.default_rng(0)
    for index in range(8):
        labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        labels[20 + index:] = 3
        image = 200 - 50 * labels[..., None] + random.integers(0, 30, (HEIGHT, WIDTH, 3))
        name = f'{"AB"[index // 4]}_{index % 4 * 30:05d}.png'
        cv2.imwrite(str(folder / 'images' / name), image.astype(np.uint8))
        cv2.imwrite(str(folder / 'labels' / name), labels)
    return folder


def train(folder: pathlib.Path, *more: str) -> int:
    return main(['train', '--out', str(folder / 'out'), '--steps', '2', '--batch-size', '2',
                 '--crop', '32', '48', '--variant', 'tiny', '--street-clips', '0', '--device',
                 'cpu', '--stages', 'network', *more])


def test_the_model_file_holds_the_best_step_and_says_so(
        tmp_path: pathlib.Path, data: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path, '--camvid', str(data), '--val-share', '0.5', '--validate-every', '1',
                 '--seed', '7', '--class-weights', 'road=2') == 0
    said = capsys.readouterr().out
    assert 'held out by drives: 4 labelled frames (1 of 2 drives, B); 4 are trained on' in said
    # of drive B, 24 to 27 rows of 48 are sky: 102 of 192; the other class is road
    assert "'sky' everywhere would have mIoU 26.6 %" in said    # 102 / 192 / 2
    path = tmp_path / 'out' / 'model.safetensors'
    notes = read_notes(path)
    found = list(read_validations(tmp_path / 'out' / 'network.jsonl'))
    assert [one.step for one in found] == [0, 1, 2]
    best = max(found, key=lambda one: one.measured.score)
    assert f'at step {best.step} of 2' in notes['stages'] and found[-1].best_step == best.step
    assert notes['seed'] == '7' and notes['torch'] == torch.__version__
    assert notes['lvs_ros'] == __version__ and 'road 2.00' in notes['class_weights']
    assert '--val-share=0.5' in notes['command'] and notes['held_out'].startswith('by drives: 4')
    # measured anew, from the file: half precision changes little
    network, both = load_network(path), []
    for index in range(4):
        name = f'B_{index * 30:05d}.png'
        image = np.asarray(cv2.imread(str(data / 'images' / name)))[:, :, ::-1].copy()
        with torch.no_grad():
            mask = network(torch.from_numpy(image).permute(2, 0, 1)[None]).argmax(1)[0].numpy()
        both.append((cv2.imread(str(data / 'labels' / name), cv2.IMREAD_UNCHANGED), mask))
    values = []
    for class_id in range(11):
        hits = sum(int(((a == class_id) & (b == class_id)).sum()) for a, b in both)
        either = sum(int(((a == class_id) | (b == class_id)).sum()) for a, b in both)
        values += [hits / either] if either else []
    assert np.mean(values) == pytest.approx(best.measured.value, abs=0.01)
    last = read_notes(tmp_path / 'out' / 'model.last.safetensors')
    assert last['stages'].endswith('here are the last weights')


def test_without_held_out_data_the_last_model_comes_out_and_that_is_told(
        tmp_path: pathlib.Path, data: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path, '--camvid', str(data)) == 0
    said = capsys.readouterr().out
    assert 'nothing is held out: the last model comes out' in said and 'the last weights' in said
    assert 'CamVid data: 8 frames' in said
    assert not (tmp_path / 'out' / 'model.last.safetensors').exists()
    notes = read_notes(tmp_path / 'out' / 'model.safetensors')
    assert notes['held_out'] == 'nothing'
    assert notes['stages'] == 'network: 2 steps, the last weights'


def test_a_training_is_repeated_from_its_file(
        tmp_path: pathlib.Path, data: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert train(tmp_path, '--camvid', 'data', '--val-share', '0.5', '--learning-rate', '0.01',
                 '--hide-labels', '--no-hide-labels') == 0
    first = tmp_path / 'out' / 'config.yaml'
    content = yaml.safe_load(first.read_text())
    assert content['val-share'] == 0.5 and content['camvid'] == str(data)
    assert content['memory-gb'] == 2.0 and content['patience'] == 0    # defaults, too
    monkeypatch.chdir('/')
    assert main(['train', '--config', str(first), '--out', str(tmp_path / 'again')]) == 0
    one, other = (load_network(tmp_path / name / 'model.safetensors').state_dict()
                  for name in ('out', 'again'))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    second = yaml.safe_load((tmp_path / 'again' / 'config.yaml').read_text())
    assert second == {**content, 'out': str(tmp_path / 'again')}


def test_options_of_the_command_line_win(tmp_path: pathlib.Path, data: pathlib.Path) -> None:
    path = tmp_path / 'my.yaml'
    path.write_text(f'camvid: {tmp_path}/nowhere\nval: {tmp_path}/nowhere\nbatch_size: 3\n'
                    'hide-labels: true\nclass-weights: {road: 2, car: 3}\n')
    assert train(tmp_path, '--config', str(path), '--camvid', str(data), '--val-share', '0.5',
                 '--no-hide-labels') == 0
    content = yaml.safe_load((tmp_path / 'out' / 'config.yaml').read_text())
    assert content['val'] is None and content['camvid'] == str(data)
    assert content['batch-size'] == 2 and content['class-weights'] == ['road=2', 'car=3']


def test_what_cannot_be_given_together_is_left_out_of_the_file(tmp_path: pathlib.Path) -> None:
    parser = argparse.ArgumentParser(prog='lvs train')
    add_arguments(parser)
    path = tmp_path / 'my.yaml'
    path.write_text('cityscapes: a\nval-share: 0.2\nval-by: time\nsize: [64, 48]\n')
    given = ['train', '--data', 'b', f'--config={path}', '--val', 'c']
    assert with_files(given, parser) == ['train', '--size', '64', '48', *given[1:]]
    assert with_files(given[:4], parser)[1:3] == ['--val-share=0.2', '--val-by=time']


@pytest.mark.parametrize('text, reason', [
    ('batchsize: 3', 'batchsize is no option of lvs train; expected some of camvid, '),
    ('batch-size: many', "batch-size: argument --batch-size: invalid int value: 'many'"),
    ('batch-size: [1, 2]', 'batch-size has 2 values; expected one'),
    ('batch-size: true', 'batch-size is True: expected what --batch-size takes'),
    ('variant: huge', "variant: argument --variant: invalid choice: 'huge'"),
    ('- camvid', 'cannot be read .no options.; expected a YAML file of options'),
    ('a: [', 'cannot be read'), ('config: other.yaml', 'config is no option'),
    ('help: true', 'help is no option'), ('patience: 3', '--patience is about the held-out data'),
])
def test_files_of_options_that_are_refused(
        tmp_path: pathlib.Path, data: pathlib.Path, capsys: pytest.CaptureFixture[str], text: str,
        reason: str) -> None:
    path = tmp_path / 'my.yaml'
    path.write_text(text)
    assert main(['train', '--config', str(path), '--camvid', str(data), '--out',
                 str(tmp_path / 'out')]) == 2
    said = capsys.readouterr().err
    assert reason in said.replace('(no options)', '.no options.') and 'Traceback' not in said
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('options, reason', [
    (('--val-share', '0'), '--val-share is 0: expected a share'),
    (('--val-share', '1.5'), '--val-share is 1.5: expected a share'),
    (('--val-share', '0.2', '--val', 'x'), 'give one of them'),
    (('--val-by', 'time'), 'says how --val-share is chosen'),
    (('--patience', '3'), '--patience is about the held-out data'),
    (('--validate-every', '5'), '--validate-every is about the held-out data'),
    (('--val-share', '0.2', '--patience', '-1'), 'expected 0 or more'),
    (('--val-share', '0.2', '--validate-every', '0'), '--validate-every 0'),
    (('--val', 'nowhere'), 'nowhere'),
    (('--class-weights', '1', '2'), 'the label set 11 classes'),
    (('--config', 'nowhere.yaml'), '--config nowhere.yaml: cannot be read'),
])
def test_options_that_cannot_be(tmp_path: pathlib.Path, data: pathlib.Path,
                                capsys: pytest.CaptureFixture[str], options: tuple[str, ...],
                                reason: str) -> None:
    assert train(tmp_path, '--camvid', str(data), *options) == 2
    assert reason in capsys.readouterr().err and not (tmp_path / 'out').exists()


def test_where_to_write_must_be_said(data: pathlib.Path, capsys: pytest.CaptureFixture[str]
                                     ) -> None:
    assert main(['train', '--camvid', str(data)]) == 2
    assert 'give --out DIR' in capsys.readouterr().err
