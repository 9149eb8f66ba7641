# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Label files of all kinds: what is read of them, and what is refused."""

import pathlib
from typing import Callable, Mapping, Optional

import cv2
import numpy as np
import pytest
from PIL import Image

from lvs_ros.datasets.label_files import LabelFiles
from lvs_ros.errors import DatasetError
from lvs_ros.labels import LabelSet, load_label_set

FOUR = LabelSet('four', ('road', 'vehicle', 'person', 'other'),
                ((90, 90, 90), (0, 0, 200), (200, 0, 0), (40, 160, 40)),
                ignored=(7,), ignored_colours=((0, 0, 0),))
IDS = np.array([[0, 1, 2], [3, 255, 0]], np.uint8)
EXPECTED = IDS.copy()
COLOURS = np.array([[[90, 90, 90], [0, 0, 200], [200, 0, 0]],
                    [[40, 160, 40], [0, 0, 0], [90, 90, 90]]], np.uint8)

Save = Callable[[pathlib.Path], object]


def palette_image(bits: int = 8) -> Image.Image:
    image = Image.fromarray(IDS if bits == 8 else np.where(IDS == 255, 7, IDS).astype(np.uint8))
    # the colours of other classes: whoever reads colours gets other ids
    first = [40, 160, 40, 200, 0, 0, 0, 0, 200, 90, 90, 90]
    image.putpalette(first + [0] * (3 * 2 ** bits - len(first)))    # Pillow cuts to a short one
    return image


def alpha(values: np.ndarray, level: int = 255) -> np.ndarray:
    return np.dstack([values, np.full(values.shape[:2], level, np.uint8)])


KINDS: Mapping[str, Save] = {
    'grey': lambda path: Image.fromarray(IDS).save(path),
    'grey and alpha': lambda path: Image.fromarray(alpha(IDS), 'LA').save(path),
    'grey of 16 bits': lambda path: cv2.imwrite(str(path), IDS.astype(np.uint16)),
    'palette': lambda path: palette_image().save(path),
    'palette of 4 bits': lambda path: palette_image(4).save(path, bits=4),
    'three equal channels': lambda path: Image.fromarray(np.dstack([IDS] * 3)).save(path),
    'three equal channels of 16 bits': lambda path: cv2.imwrite(
        str(path), np.dstack([IDS] * 3).astype(np.uint16)),
    'four channels': lambda path: Image.fromarray(alpha(np.dstack([IDS] * 3))).save(path),
    'colours': lambda path: Image.fromarray(COLOURS).save(path),
    'colours and alpha': lambda path: Image.fromarray(alpha(COLOURS)).save(path)}


def read(path: pathlib.Path, label_set: LabelSet = FOUR) -> np.ndarray:
    return LabelFiles([path], label_set).read(path)


@pytest.mark.parametrize('kind', KINDS)
def test_every_kind_gives_the_same_ids(tmp_path: pathlib.Path, kind: str) -> None:
    path = tmp_path / 'labels.png'
    KINDS[kind](path)
    found = read(path)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, EXPECTED)


@pytest.mark.parametrize('ending', ['bmp', 'tif', 'PNG'])
def test_every_ending(tmp_path: pathlib.Path, ending: str) -> None:
    path = tmp_path / f'labels.{ending}'
    Image.fromarray(IDS).save(path)
    np.testing.assert_array_equal(read(path), EXPECTED)


@pytest.mark.parametrize('bits, values', [(1, [0, 1]), (2, [0, 1, 2, 3]), (4, [0, 3, 7, 2])])
def test_grey_of_few_bits_is_not_spread(tmp_path: pathlib.Path, bits: int,
                                        values: list[int]) -> None:
    # by a writer of its own: no library at hand writes such files
    path = tmp_path / 'labels.png'
    path.write_bytes(grey_png(values, bits))
    expected = [255 if value == 7 else value for value in values]    # FOUR ignores 7
    assert read(path).tolist() == [expected]


def grey_png(values: list[int], bits: int) -> bytes:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (struct.pack('>I', len(data)) + kind + data
                + struct.pack('>I', zlib.crc32(kind + data)))

    row = ''.join(f'{value:0{bits}b}' for value in values)
    row += '0' * (-len(row) % 8)
    data = bytes([0, *(int(row[at:at + 8], 2) for at in range(0, len(row), 8))])
    header = struct.pack('>IIBBBBB', len(values), 1, bits, 0, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(data))
            + chunk(b'IEND', b''))


def test_transparent_pixels_are_unlabelled(tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'labels.png'
    pixels = alpha(COLOURS)
    pixels[0, 0] = (1, 2, 3, 0)
    Image.fromarray(pixels).save(path)
    expected = EXPECTED.copy()
    expected[0, 0] = 255
    np.testing.assert_array_equal(read(path), expected)


@pytest.mark.parametrize('name, values, label_set, expected', [
    # the annotation's own ids, and two values for licence plates (cityscapesScripts)
    ('a_gtFine_labelIds.png', [7, 26, 0, 34, 255], 'cityscapes', [0, 13, 255, 255, 255]),
    ('a_gtFine_labelTrainIds.png', [7, 13, 0, 18, 255], 'cityscapes', [7, 13, 0, 18, 255]),
    ('a_train_id.png', [7, 13, 0, 18, 255], 'cityscapes', [7, 13, 0, 18, 255]),
    ('a.png', [7, 26, 0, 33, 255], 'cityscapes', [0, 13, 255, 18, 255]),
    ('a.png', [7, 13, 0, 18, 255], 'cityscapes', [7, 13, 0, 18, 255]),
    ('a.png', [0, 10, 11, 255], 'camvid', [0, 10, 255, 255]),
])
def test_ids_or_train_ids(tmp_path: pathlib.Path, name: str, values: list[int], label_set: str,
                          expected: list[int]) -> None:
    path = tmp_path / name
    Image.fromarray(np.array([values], np.uint8)).save(path)
    files = LabelFiles([path], load_label_set(label_set))
    assert files.read(path).tolist() == [expected]
    assert label_set in files.description


def test_the_ids_of_the_files_are_what_the_set_says(tmp_path: pathlib.Path) -> None:
    # 16 bits and beyond 255; 255 is a class here, as in many files of two classes
    own = LabelSet('own', ('lane', 'other'), ((1, 1, 1), (2, 2, 2)),
                   file_ids=((255, 1000), (0,)))
    path = tmp_path / 'labels.png'
    cv2.imwrite(str(path), np.array([[255, 1000, 0]], np.uint16))
    assert read(path, own).tolist() == [[0, 0, 1]]


def test_the_original_colours_of_camvid(tmp_path: pathlib.Path) -> None:
    # lane markings are road, a truck is a car, void is nothing (the published colour table)
    path = tmp_path / 'labels.png'
    Image.fromarray(np.array([[[128, 0, 192], [192, 128, 192], [0, 0, 0], [0, 0, 192]]],
                             np.uint8)).save(path)
    names = load_label_set('camvid').names
    assert read(path, load_label_set('camvid')).tolist() == [[
        names.index('road'), names.index('car'), 255, names.index('pavement')]]


def test_the_reading_is_told(tmp_path: pathlib.Path) -> None:
    def told(kind: str) -> str:
        KINDS[kind](tmp_path / 'labels.png')
        return LabelFiles([tmp_path / 'labels.png'], FOUR).description

    assert 'indices' in told('palette') and 'class ids (7, 255 = unlabelled)' in told('palette')
    assert 'colours of the classes' in told('colours')
    assert 'class ids' in told('three equal channels')


def changed(pixels: np.ndarray, value: object) -> np.ndarray:
    pixels = pixels.copy()
    pixels[0, 1] = value
    return pixels


def jpeg(path: pathlib.Path) -> None:
    Image.fromarray(IDS).save(path, 'JPEG')


@pytest.mark.parametrize('save, reason', [
    (lambda path: Image.fromarray(changed(IDS, 4)).save(path),
     r'class id 4; expected 0 to 3, or 7, 255 .* It stands in 1 pixels'),
    (lambda path: cv2.imwrite(str(path), changed(IDS.astype(np.uint16), 300)), 'class id 300'),
    (lambda path: cv2.imwrite(str(path), changed(np.dstack([IDS] * 3).astype(np.uint16), 300)),
     'class id 300'),
    (lambda path: Image.fromarray(changed(COLOURS, (0, 0, 201))).save(path),
     r'colour \(0, 0, 201\) in 1 pixels, .* of no class of the label set .four.'),
    (lambda path: Image.fromarray(changed(alpha(COLOURS), (0, 0, 200, 128))).save(path),
     '1 pixels are partly transparent'),
    (lambda path: cv2.imwrite(str(path), COLOURS.astype(np.uint16) * 257), 'colours of 16 bits'),
    (jpeg, 'a JPEG, which changes the ids'),
    (lambda path: Image.fromarray(IDS.astype(np.float32)).save(path, 'TIFF'),
     'pixels of the kind F; expected a palette'),
    (lambda path: path.write_bytes(b'no picture'), 'cannot be read as an image'),
    (lambda path: path.write_bytes(b'\x89PNG\r\n\x1a\n' + bytes(30)), 'cannot be read'),
    (lambda path: Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(path),
     r'holds \[0\] in three equal channels.* one byte a pixel'),
])
def test_what_is_refused_names_file_and_reason(tmp_path: pathlib.Path, save: Save, reason: str
                                               ) -> None:
    path = tmp_path / 'labels.png'
    save(path)
    with pytest.raises(DatasetError, match=f'labels.png.*{reason}'):
        read(path)


@pytest.mark.parametrize('odd, reason', [
    (lambda path: Image.fromarray(COLOURS).save(path), 'colours, but the other files'),
    (None, '')])
def test_one_reading_for_all_files(tmp_path: pathlib.Path, odd: Optional[Save], reason: str
                                   ) -> None:
    # more files than are looked at: ids in three equal channels, and the last one in colours
    paths = [tmp_path / f'{index:02d}.png' for index in range(18)]
    for path in paths:
        KINDS['three equal channels'](path)
    if odd is None:
        np.testing.assert_array_equal(LabelFiles(paths, FOUR).read(paths[-1]), EXPECTED)
        return
    odd(paths[-1])
    with pytest.raises(DatasetError, match=f'17.png: {reason}'):
        LabelFiles(paths, FOUR).read(paths[-1])


def test_a_set_without_colours_of_files(tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'labels.png'
    KINDS['colours'](path)
    with pytest.raises(DatasetError, match='are of no class of the label set'):
        read(path, LabelSet('ids', ('a',), ((9, 8, 7),), file_colours=((),)))


def test_colours_need_one_meaning(tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'labels.png'
    twins = LabelSet('twins', ('a', 'b'), ((9, 8, 7), (9, 8, 7)))
    Image.fromarray(np.full((2, 2, 3), (9, 8, 7), np.uint8)).save(path)
    with pytest.raises(DatasetError, match=r"\(9, 8, 7\) means both 'a' and 'b'"):
        read(path, twins)
    Image.fromarray(np.eye(2, dtype=np.uint8)).save(path)    # ids need no colours
    assert read(path, twins).tolist() == [[1, 0], [0, 1]]
