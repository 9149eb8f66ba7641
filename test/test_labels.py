# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Label sets and the metrics on them."""

import pathlib

import numpy as np
import pytest

from lvs_ros.errors import LabelSetError
from lvs_ros.evaluation.metrics import ConfusionMatrix, pixel_accuracy
from lvs_ros.labels import LabelSet, load_label_set


def test_cityscapes_has_the_official_train_ids_and_colours() -> None:
    # from the published table (labels.py of cityscapesScripts)
    cityscapes = load_label_set('cityscapes')
    assert len(cityscapes) == 19
    official = {0: ('road', (128, 64, 128)), 5: ('pole', (153, 153, 153)),
                8: ('vegetation', (107, 142, 35)), 11: ('person', (220, 20, 60)),
                13: ('car', (0, 0, 142)), 18: ('bicycle', (119, 11, 32))}
    for train_id, (name, colour) in official.items():
        assert cityscapes.names[train_id] == name and cityscapes.colours[train_id] == colour


def test_camvid_is_in_the_order_of_its_ids() -> None:
    assert load_label_set('camvid').names == (
        'sky', 'building', 'pole', 'road', 'pavement', 'tree', 'sign', 'fence', 'car',
        'pedestrian', 'bicyclist')


def test_colourise_and_overlay() -> None:
    labels = LabelSet('two', ('a', 'b'), ((200, 0, 100), (0, 50, 0)))
    mask = np.array([[0, 1, 255]], np.uint8)
    assert labels.colourise(mask).tolist() == [[[200, 0, 100], [0, 50, 0], [0, 0, 0]]]
    image = np.full((1, 3, 3), 100, np.uint8)
    # half of each; where there is no label, the image as it was
    assert labels.overlay(image, mask).tolist() == [[[150, 50, 100], [50, 75, 50],
                                                     [100, 100, 100]]]
    assert labels.overlay(image, mask, alpha=0.0).tolist() == image.tolist()


def test_own_label_set(tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'own.yaml'
    path.write_text('name: own\nclasses:\n  - {name: lane, colour: [1, 2, 3]}\n')
    assert load_label_set(str(path)) == LabelSet('own', ('lane',), ((1, 2, 3),))


@pytest.mark.parametrize('text', [
    '', 'name: x', 'name: x\nclasses: [{name: a}]', 'name: x\nclasses: []', '{[',
    'name: x\nclasses: [{name: a, colour: [1, 2]}]',
    'name: x\nclasses: [{name: a, colour: [1, 2, 300]}]',
    'name: x\nclasses: [{name: a, colour: [1, 2, -1]}]',
    'name: x\nclasses: [{name: a, colour: [1, 2, 1.5]}]',
    'name: x\nclasses: [{name: a, colour: [1, 2, true]}]',
    'name: x\nclasses: [{name: a, colour: "123"}]',
    'name: x\nclasses: [{name: a, colour: {1: 2, 3: 4, 5: 6}}]',
    'name: x\nclasses: [{name: no, colour: [1, 2, 3]}]',
    'name: x\nclasses: [{name: 7, colour: [1, 2, 3]}]',
    'name: x\nclasses: [{name: "", colour: [1, 2, 3]}]',
    'name: x\nclasses: [{name: "a\\nb", colour: [1, 2, 3]}]',
    'name: x\nclasses: [{name: a, colour: [1, 2, 3]}, {name: a, colour: [4, 5, 6]}]',
    'name: x\nclasses: [{name: a, colour: [1, 2, 3], id: 1}]',
    'name: x\nversion: 2\nclasses: [{name: a, colour: [1, 2, 3]}]',
    'name: 7\nclasses: [{name: a, colour: [1, 2, 3]}]',
    'name: x\nclasses: {a: [1, 2, 3]}', 'name: x\nclasses: a', '7', '- ' * 40_000,
    '&a\nname: x\nclasses: *a', 'name: x\nclasses: [&a {name: a, colour: *a}]',
    '!!python/object/apply:os.abort []',
    'name: x\nclasses:' + ''.join(f'\n- {{name: c{i}, colour: [0, 0, 0]}}' for i in range(256))])
def test_malformed_label_set_is_refused_with_its_file(tmp_path: pathlib.Path, text: str) -> None:
    path = tmp_path / 'own.yaml'
    path.write_text(text)
    with pytest.raises(LabelSetError, match='own.yaml.*'):
        load_label_set(str(path))


@pytest.mark.parametrize('first, next_', [
    ('lol', '[{}]'), ('{x: 1}', '{{<<: [{}]}}')], ids=['lists', 'merged mappings'])
def test_aliases_do_not_grow(tmp_path: pathlib.Path, first: str, next_: str) -> None:
    # each line is ten times the one before: the last would be 10^30 of the first
    lines = [f'a0: &a0 {first}'] + [
        f'a{number}: &a{number} ' + next_.format(', '.join([f'*a{number - 1}'] * 10))
        for number in range(1, 31)]
    path = tmp_path / 'own.yaml'
    path.write_text('\n'.join([*lines, 'name: *a30', 'classes: [*a30]']), encoding='utf-8')
    with pytest.raises(LabelSetError, match='own.yaml') as error:
        load_label_set(str(path))
    assert len(str(error.value)) < 600


@pytest.mark.parametrize('content', [
    bytes(range(256)), b'\0' * 100, 'name: \xe9'.encode('latin-1'), b'#' * 1_000_000])
def test_what_is_no_text_is_no_label_set(tmp_path: pathlib.Path, content: bytes) -> None:
    path = tmp_path / 'own.yaml'
    path.write_bytes(content)
    with pytest.raises(LabelSetError, match='own.yaml'):
        load_label_set(str(path))


def test_unknown_label_set_lists_the_known_ones() -> None:
    with pytest.raises(LabelSetError, match='camvid, cityscapes'):
        load_label_set('mars')


def test_iou_by_hand() -> None:
    confusion = ConfusionMatrix(3)
    labels = np.array([[0, 0, 1, 1, 255]], np.uint8)
    confusion.add(labels, np.array([[0, 1, 1, 1, 2]], np.uint8))
    # class 0: 1 of 2 (one taken for 1); class 1: 2 of 3; class 2 never occurs
    np.testing.assert_allclose(confusion.iou(), [1 / 2, 2 / 3, np.nan])
    assert confusion.miou() == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert pixel_accuracy(confusion.counts) == pytest.approx(3 / 4)
    confusion.add(np.array([[2]], np.uint8), np.array([[0]], np.uint8))
    np.testing.assert_allclose(confusion.iou(), [1 / 3, 2 / 3, 0])


def test_iou_of_nothing_is_nan() -> None:
    assert np.isnan(ConfusionMatrix(2).miou())


def test_masks_that_do_not_fit_are_refused() -> None:
    confusion = ConfusionMatrix(2)
    with pytest.raises(ValueError, match='one shape'):
        confusion.add(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))
    with pytest.raises(ValueError, match='class id 2'):
        confusion.add(np.zeros((1, 1), np.uint8), np.full((1, 1), 2, np.uint8))
