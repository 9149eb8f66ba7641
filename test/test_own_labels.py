# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Classes of one's own, from a label set to a model that carries it."""

import dataclasses
import pathlib
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from lvs_ros.errors import LabelSetError
from lvs_ros.labels import (LabelSet, comes_with_package, labels_of_model, load_label_set,
                            read_label_set)
from lvs_ros.model import (VARIANTS, SegmentationNetwork, load_network, read_config, read_notes,
                           save_network)
from lvs_ros.tools.cli import main
from lvs_ros.training.label_statistics import describe_counts
from lvs_ros.training.street_frames import street_class_ids, street_pool

pytestmark = pytest.mark.usefixtures('one_thread', 'bare_training')

SIZE = 64, 48
YAML = """
name: four
ignored: [9]
ignored_colours: [[0, 0, 0]]
classes:
  - {name: road, colour: [90, 90, 90], street: [road]}
  - {name: vehicle, colour: [0, 0, 200], street: [car]}
  - {name: person, colour: [200, 0, 0], street: [pedestrian, bicyclist]}
  - {name: other, colour: [40, 160, 40],
     street: [sky, building, pole, pavement, tree, sign, fence]}
"""


@pytest.fixture
def four(tmp_path: pathlib.Path) -> str:
    path = tmp_path / 'four.yaml'
    path.write_text(YAML)
    return str(path)


@pytest.fixture
def data(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return four images with hashed names and labels 0, 1, 3 and 9, in RGB colours or ids."""
    folder = tmp_path / 'data'
    for part in ('images', 'labels'):
        (folder / part).mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in ('9f2c', 'a0b1', '77de', 'c3e4'):
        labels = random.choice(np.array([0, 1, 3, 9], np.uint8), (SIZE[1], SIZE[0]))
        cv2.imwrite(str(folder / 'images' / f'{name}.png'),
                    random.integers(0, 255, (SIZE[1], SIZE[0], 3)).astype(np.uint8))
        cv2.imwrite(str(folder / 'labels' / f'{name}.png'), labels)
    return folder


def train(folder: pathlib.Path, *more: str) -> int:
    return main(['train', '--out', str(folder / 'out'), '--steps', '1', '--batch-size', '2',
                 '--street-frames', '2', '--device', 'cpu', *more])


def model_of(folder: pathlib.Path, label_set: LabelSet) -> str:
    path = folder / f'{label_set.name}.safetensors'
    config = VARIANTS['tiny'](label_set.name, len(label_set)).with_labels(label_set)
    save_network(SegmentationNetwork(config), path)
    return str(path)


# --- the file of a set


def test_everything_that_a_set_says_is_kept() -> None:
    content: dict[str, Any] = {
        'name': 'own', 'ignored': [7, 300], 'ignored_colours': [[0, 0, 0]], 'train_ids': True,
        'classes': [
            {'name': 'a', 'colour': [1, 2, 3], 'ids': [5, 6], 'colours': [[1, 1, 1], [2, 2, 2]],
             'street': ['road', 'car']},
            {'name': 'b', 'colour': [4, 5, 6], 'ids': [], 'colours': [], 'street': []}]}
    label_set = read_label_set(content)
    assert label_set.content() == content
    assert label_set.id_table(train_ids=False) == {5: 0, 6: 0, 7: 255, 300: 255, 255: 255}
    assert label_set.id_table(train_ids=True) == {0: 0, 1: 1, 255: 255}
    assert label_set.colour_table() == {(1, 1, 1): 0, (2, 2, 2): 0, (0, 0, 0): 255}


@pytest.mark.parametrize('change, reason', [
    ({'ignored': [1]}, "id 1 means both 'b' and unlabelled"),
    ({'ignored': -1}, 'expected whole numbers'), ({'ignored': 'none'}, 'expected whole numbers'),
    ({'ignored_colours': [1, 2, 3]}, 'expected three whole numbers'),
    ({'train_ids': 1}, 'expected true or false'),
    ({'classes': [{'name': 'a', 'colour': [1, 2, 3], 'ids': [1]},
                  {'name': 'b', 'colour': [4, 5, 6]}]}, "class 'b' has no ids"),
    ({'classes': [{'name': 'a', 'colour': [1, 2, 3], 'ids': [1]},
                  {'name': 'b', 'colour': [4, 5, 6], 'ids': [1]}]}, "id 1 means both 'a' and 'b'"),
    ({'classes': [{'name': 'a', 'colour': [1, 2, 3], 'colours': [[4, 5, 6]]},
                  {'name': 'b', 'colour': [4, 5, 6]}]}, "means both 'a' and 'b'"),
    ({'classes': [{'name': 'a', 'colour': [1, 2, 3], 'street': 'road'}]}, 'expected a list'),
])
def test_sets_that_contradict_themselves(change: dict[str, Any], reason: str) -> None:
    good = {'name': 'own', 'classes': [{'name': 'a', 'colour': [1, 2, 3]},
                                       {'name': 'b', 'colour': [4, 5, 6]}]}
    assert len(read_label_set(good)) == 2
    with pytest.raises(ValueError, match=reason):
        read_label_set({**good, **change})


# --- the set of a model


def test_a_model_file_carries_its_label_set(tmp_path: pathlib.Path, four: str) -> None:
    label_set = load_label_set(four)
    path = model_of(tmp_path, label_set)
    pathlib.Path(four).unlink()
    assert read_config(path).labels == label_set == load_network(path).config.labels


def test_a_set_beside_a_model(four: str) -> None:
    own = load_label_set(four)
    recoloured = dataclasses.replace(own, name='other', colours=((1, 1, 1),) * 4)
    swapped = dataclasses.replace(own, names=('vehicle', 'road', 'person', 'other'))
    assert labels_of_model(own, 'four', 4, None) == own
    assert labels_of_model(own, 'four', 4, recoloured) == recoloured
    with pytest.raises(LabelSetError, match="class 0 is 'road' in 'four' and 'vehicle'"):
        labels_of_model(own, 'four', 4, swapped)
    # an older file has the name alone
    camvid = load_label_set('camvid')
    assert labels_of_model(None, 'camvid', 11, None) == camvid
    assert labels_of_model(None, 'four', 4, own) == own
    with pytest.raises(LabelSetError, match='four'):
        labels_of_model(None, 'four', 4, None)
    with pytest.raises(LabelSetError, match='4 classes, the model 3'):
        labels_of_model(None, 'four', 3, own)
    with pytest.raises(LabelSetError, match="class 1 is 'building' in 'camvid' and 'house'"):
        labels_of_model(None, 'camvid', 11, dataclasses.replace(
            camvid, names=('sky', 'house', *camvid.names[2:])))
    assert comes_with_package(camvid) and not comes_with_package(own)


# --- training


def test_own_classes_from_labels_to_a_model_and_on(
        tmp_path: pathlib.Path, four: str, data: pathlib.Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['labels', 'check', str(data), '--labels', four, '--out',
                 str(tmp_path / 'seen.png')]) == 0
    told = capsys.readouterr().out
    assert '4 images, 4 labelled' in told and f'{SIZE[0]}x{SIZE[1]} (4)' in told
    seen = cv2.imread(str(tmp_path / 'seen.png'))
    assert seen is not None and seen.shape[1] > 2 * SIZE[0]
    colours = {tuple(colour) for colour in seen[:SIZE[1], SIZE[0]:2 * SIZE[0], ::-1].reshape(
        -1, 3).tolist()}
    assert colours == {(90, 90, 90), (0, 0, 200), (40, 160, 40), (0, 0, 0)}

    assert train(tmp_path, '--camvid', str(data), '--labels', four, '--variant', 'tiny',
                 '--street-clips', '0', '--stages', 'network') == 0
    told = capsys.readouterr().out
    assert '1 of 4 classes never occur: person' in told and 'stand alone' in told
    labels = np.concatenate([np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
                             for path in (data / 'labels').iterdir()])
    for class_id, name in enumerate(('road', 'vehicle', 'person', 'other')):
        count = np.count_nonzero(labels == class_id)
        assert any(line.split()[1:3] == [name, str(count)] for line in told.splitlines())
    model = tmp_path / 'out' / 'model.safetensors'
    assert read_config(model).labels == load_label_set(four)
    assert read_notes(model)['data'] == 'four data: 4 frames'

    # nobody asks for the file of the set again
    pathlib.Path(four).unlink()
    assert main(['train', '--camvid', str(data), '--init', str(model), '--out',
                 str(tmp_path / 'on'), '--steps', '1', '--batch-size', '2', '--street-clips', '0',
                 '--device', 'cpu', '--stages', 'network']) == 0
    assert main(['evaluate', '--camvid', str(data), '--model', str(model), '--rows', 'per_frame',
                 '--limit', '1', '--device', 'cpu', '--slow-delay-s', '0.1']) == 0
    assert "'four'" in capsys.readouterr().err


def test_data_and_model_of_other_classes(
        tmp_path: pathlib.Path, four: str, data: pathlib.Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    swapped = tmp_path / 'swapped.yaml'
    swapped.write_text(YAML.replace('road,', 'lane,').replace('name: four', 'name: swapped'))
    model = model_of(tmp_path, load_label_set(four))
    for words in (('train', '--init', model, '--out', str(tmp_path / 'out'), '--device', 'cpu'),
                  ('evaluate', '--model', model, '--rows', 'per_frame', '--device', 'cpu')):
        assert main([*words, '--camvid', str(data), '--labels', str(swapped)]) == 2
        assert "class 0 is 'road' in 'four' and 'lane' in 'swapped'" in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_four_classes_are_not_silently_those_of_camvid(
        tmp_path: pathlib.Path, data: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path, '--camvid', str(data), '--variant', 'tiny', '--street-clips', '0',
                 '--stages', 'network') == 0
    told = capsys.readouterr().out
    assert 'never occur: pole, pavement' in told and "'camvid' was assumed" in told


def test_a_list_needs_a_set(tmp_path: pathlib.Path, four: str, data: pathlib.Path,
                            capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / 'list.csv'
    path.write_text('image,label\n' + ''.join(
        f'data/images/{one.name},data/labels/{one.name}\n' for one in (data / 'images').iterdir()))
    words = ('--data', str(path), '--street-clips', '0', '--variant', 'tiny', '--stages',
             'network')
    assert train(tmp_path, *words) == 2
    assert 'give their label set with --labels' in capsys.readouterr().err
    assert train(tmp_path, *words, '--labels', four) == 0
    assert main(['labels', 'check', str(path), '--labels', four, '--out',
                 str(tmp_path / 'seen.png')]) == 0


def test_broken_frames_are_all_named(tmp_path: pathlib.Path, four: str, data: pathlib.Path,
                                     capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(data / 'labels' / 'a0b1.png'), np.full((8, 8), 3, np.uint8))
    cv2.imwrite(str(data / 'labels' / '77de.png'), np.full(SIZE[::-1], 5, np.uint8))
    assert main(['labels', 'check', str(data), '--labels', four, '--out',
                 str(tmp_path / 'seen.png')]) == 2
    error = capsys.readouterr().err
    assert '2 of 4 frames cannot be used' in error
    assert 'a0b1.png: 8x8 pixels' in error and '77de.png: class id 5' in error


def test_labels_without_a_single_class(tmp_path: pathlib.Path, four: str, data: pathlib.Path,
                                       capsys: pytest.CaptureFixture[str]) -> None:
    for path in (data / 'labels').iterdir():
        cv2.imwrite(str(path), np.full(SIZE[::-1], 9, np.uint8))
    assert train(tmp_path, '--camvid', str(data), '--labels', four) == 2
    assert 'no pixel is labelled' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_shares_by_hand() -> None:
    counts = np.zeros(256, np.int64)
    counts[:3], counts[255] = (30, 10, 0), 60
    lines = describe_counts(counts, LabelSet('t', ('a', 'b', 'c'), ((0, 0, 0),) * 3),
                            assumed=False)
    assert [line.split()[-3:-1] for line in lines[1:3]] == [['30', '75.00'], ['10', '25.00']]
    assert '60.00 % of all' in lines[4] and '1 of 3 classes never occur: c' in lines[5]


# --- the street


def test_the_street_in_classes_of_ones_own(four: str) -> None:
    class_ids, missing = street_class_ids(load_label_set(four))
    camvid = load_label_set('camvid').names
    assert missing == []
    assert [int(class_ids[camvid.index(name)]) for name in ('road', 'car', 'bicyclist', 'sky')
            ] == [0, 1, 2, 3]
    assert class_ids[255] == 255
    pool = street_pool(torch.device('cpu'), clips=1, frames=1, width=64, height=48, seed=0,
                       class_ids=class_ids)
    plain = street_pool(torch.device('cpu'), clips=1, frames=1, width=64, height=48, seed=0,
                        class_ids=np.arange(256, dtype=np.uint8))
    assert torch.equal(pool.label_sample == 0, plain.label_sample == camvid.index('road'))
    assert torch.equal(pool.label_sample == 1, plain.label_sample == camvid.index('car'))


def test_the_street_only_where_all_of_it_has_a_class(
        tmp_path: pathlib.Path, data: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / 'some.yaml'
    path.write_text(YAML.replace('sky, ', ''))
    words = ('--camvid', str(data), '--labels', str(path), '--variant', 'tiny', '--stages',
             'network')
    assert train(tmp_path, *words, '--street-clips', '1') == 2
    assert 'these of the street: sky; leave --street-clips away' in capsys.readouterr().err
    assert train(tmp_path, *words) == 0
    assert 'the synthetic street is not mixed in' in capsys.readouterr().out
    for wrong, reason in (('river', "stands for 'river' of the street; expected one of"),
                          ('road, road', 'two classes stand for')):
        path.write_text(YAML.replace('[sky', f'[{wrong}, sky'))
        with pytest.raises(LabelSetError, match=reason):
            street_class_ids(load_label_set(str(path)))


def test_an_import_carries_its_label_set(tmp_path: pathlib.Path, four: str) -> None:
    torch.manual_seed(0)
    source = SegmentationNetwork(dataclasses.replace(
        VARIANTS['tiny']('four', 4), base_width=8))
    resnet = {name.removeprefix('backbone.'): value for name, value in
              source.state_dict().items() if name.startswith('backbone.')}
    assert resnet    # the layout of torchvision needs a stem of its own
    renamed = {name.replace('stem.0.', 'conv1.').replace('stem.1.', 'bn1.'): value
               for name, value in resnet.items()}
    path = tmp_path / 'resnet.pth'
    torch.save(renamed, path)
    out = tmp_path / 'imported.safetensors'
    assert main(['import-checkpoint', str(path), '--labels', four, '--backbone-only', '--out',
                 str(out)]) == 0
    assert read_config(out).labels == load_label_set(four)
