# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Names and times of labelled images: folders of any names, and lists."""

import json
import pathlib
from typing import Optional, Sequence

import cv2
import numpy as np
import pytest

from lvs_ros.datasets.camvid import list_folder
from lvs_ros.datasets.cityscapes import list_split
from lvs_ros.datasets.frame_times import frame_times
from lvs_ros.datasets.listed import list_listed
from lvs_ros.errors import DatasetError
from lvs_ros.labels import LabelSet, load_label_set
from test_cityscapes import write_image, write_labels

CAMVID = load_label_set('camvid')
GOOD = np.full((4, 6), 3, np.uint8)


def save(path: pathlib.Path, pixels: np.ndarray = GOOD) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    written, data = cv2.imencode(path.suffix.lower(), pixels)
    assert written
    path.write_bytes(data.tobytes())
    return path.name


def folder_of(folder: pathlib.Path, names: Sequence[tuple[str, str]]) -> pathlib.Path:
    for image, label in names:
        save(folder / 'images' / image, np.dstack([GOOD] * 3))
        save(folder / 'labels' / label)
    return folder


@pytest.mark.parametrize('image, label', [
    ('a.PNG', 'a.png'), ('a.JPEG', 'a.PNG'), ('a.bmp', 'a.tif'), ('a.webp', 'a.bmp'),
    ('a_00001.png', 'a_00001_L.png'), ('a.jpg', 'a_labelIds.png'), ('a.jpg', 'a_train_id.png'),
    ('a_leftImg8bit.png', 'a_gtFine_labelIds.png'), ('a.jpg', 'a_gtFine_labelTrainIds.png'),
    ('a.jpg', 'a_mask.png'), ('cam_L.png', 'cam_L.png'), ('city/a.png', 'city/a.png'),
])
def test_label_files_are_found_by_their_names(tmp_path: pathlib.Path, image: str, label: str
                                              ) -> None:
    frames = list_folder(folder_of(tmp_path, [(image, label)])).frames
    assert [frame.label_path for frame in frames] == [tmp_path / 'labels' / label]
    labels = frames[0].load()[1]
    assert labels is not None and (labels == 3).all()


def test_left_and_right_camera_are_not_mixed_up(tmp_path: pathlib.Path) -> None:
    frames = list_folder(folder_of(tmp_path, [('a.png', 'a.png'), ('a_L.png', 'a_L.png')])).frames
    assert {frame.image_path.name: frame.label_path.name for frame in frames if frame.label_path
            } == {'a.png': 'a.png', 'a_L.png': 'a_L.png'}


def test_the_original_folders_of_camvid(tmp_path: pathlib.Path) -> None:
    save(tmp_path / '701_StillsRaw_full' / 'A_00030.png', np.dstack([GOOD] * 3))
    save(tmp_path / 'LabeledApproved_full' / 'A_00030_L.png',
         np.full((4, 6, 3), (128, 64, 128), np.uint8))    # road, the same in BGR
    frame, = list_folder(tmp_path).frames
    assert frame.sequence == 'A' and frame.time_s == 1.0
    labels = frame.load()[1]
    assert labels is not None and (labels == CAMVID.names.index('road')).all()


def test_train_ids_before_ids_and_no_instances(tmp_path: pathlib.Path) -> None:
    names = [f'a_gtFine_{kind}.png' for kind in ('labelIds', 'labelTrainIds', 'instanceIds',
                                                 'color')]
    folder_of(tmp_path, [('a.png', name) for name in names])
    cityscapes = load_label_set('cityscapes')
    own = LabelSet('own', ('road',), ((1, 1, 1),), file_ids=((3,),))    # by the annotation's ids
    for label_set, expected in ((cityscapes, names[1]), (own, names[0])):
        frame, = list_folder(tmp_path, label_set).frames
        assert frame.label_path is not None and frame.label_path.name == expected


@pytest.mark.parametrize('names, reason', [
    ([('a.png', 'b.png')], 'a.png: missing'),
    ([('a.png', 'a.png'), ('a.jpg', 'a.png')], 'the same name but for its ending'),
    ([('a.png', 'a.png'), ('a.png', 'a.bmp')], 'two label files of one image'),
    ([('a.png', 'a_L.png'), ('a.png', 'a_mask.png')], 'two label files of one image'),
])
def test_names_that_do_not_fit(tmp_path: pathlib.Path, names: list[tuple[str, str]], reason: str
                               ) -> None:
    with pytest.raises(DatasetError, match=reason):
        list_folder(folder_of(tmp_path, names))


def test_labels_without_an_image_are_told(tmp_path: pathlib.Path) -> None:
    folder_of(tmp_path, [('a.png', 'a.png')])
    save(tmp_path / 'labels' / 'b.png')
    assert any('1 label files have no image' in note and 'b.png' in note
               for note in list_folder(tmp_path).notes)


# --- times


@pytest.mark.parametrize('names, rate_hz, drives, times_s, told', [
    (['A_f00030', 'A_f00060', 'B_00010'], None, 'AAB', [1, 2, 1 / 3], '30 Hz'),
    (['A_1', 'A_2', 'B_7'], 2.0, 'AAB', [0, 0.5, 0], '2 frames a second'),
    (['fa3', '07b', 'c1'], 4.0, ['', '', ''], [0, 0.25, 0.5], '4 frames a second'),
    (['1403636579763555584', '1403636579813555456'], None, ['', ''], [0, 0.049999872],
     'nanoseconds'),
    (['cam_1403636579763', 'cam_1403636579863'], None, ['cam', 'cam'], [0, 0.1], 'milliseconds'),
    (['1403636579.763555', '1403636580.263555'], None, ['', ''], [0, 0.5], 'seconds'),
    (['3fa9c1', 'b7e012'], None, ['3fa9c1', 'b7e012'], [0, 0], 'stand alone'),
    (['000001', '000002'], None, ['000001', '000002'], [0, 0], 'stand alone'),
])
def test_times(names: list[str], rate_hz: Optional[float], drives: Sequence[str],
               times_s: list[float], told: str) -> None:
    found = frame_times(names, rate_hz=rate_hz)
    assert [frame.drive for frame in found.of_frames] == list(drives)
    np.testing.assert_allclose([frame.time_s for frame in found.of_frames], times_s, atol=1e-9)
    assert told in found.told


def test_a_file_of_times_goes_before_names(tmp_path: pathlib.Path) -> None:
    folder_of(tmp_path, [('A_1.png', 'A_1.png'), ('x.png', 'x.png')])
    (tmp_path / 'times.csv').write_text('image,time,drive\nx.png,10.5,d\nA_1.png,10.0,d\n')
    frames = list_folder(tmp_path).frames
    assert [(frame.sequence, frame.time_s, frame.image_path.name) for frame in frames] == [
        ('d', 10.0, 'A_1.png'), ('d', 10.5, 'x.png')]
    assert list_folder(tmp_path, rate_hz=5).frames[0].time_s == 0    # and an option before it


@pytest.mark.parametrize('text, reason', [
    ('image,time\nA_1.png,0\n', '1 images are not listed, the first is A_2'),
    ('A_1.png,0\nA_2.png,1\n', 'expected a first line "image,time"'),
    ('image,time\nA_1.png,0\nA_2.png,soon\n', 'could not convert'),
    ('image,time\nA_1.png,0\nA_2.png,0\n', 'the same time'),
    ('image,time\nA_1.png,0\nA_2.png,33333.3\n', '3e-05 frames a second'),
])
def test_files_of_times_that_cannot_be(tmp_path: pathlib.Path, text: str, reason: str) -> None:
    folder_of(tmp_path, [('A_1.png', 'A_1.png'), ('A_2.png', 'A_2.png')])
    (tmp_path / 'times.csv').write_text(text)
    with pytest.raises(DatasetError, match=reason):
        list_folder(tmp_path)


@pytest.mark.parametrize('names, rate_hz, reason', [
    (['a_000001000000', 'a_000002000000'], None, '3e-05 frames a second, expected .* --rate'),
    (['a_1', 'a_01'], None, 'the same time'),
    (['a', 'b'], 0.0, '--rate is 0'), (['a', 'b'], float('nan'), '--rate is nan'),
])
def test_times_that_cannot_be(names: list[str], rate_hz: Optional[float], reason: str) -> None:
    with pytest.raises(DatasetError, match=reason):
        frame_times(names, rate_hz=rate_hz)


# --- lists


ROWS = [{'image': 'i/b.png', 'label': 'l/b.png', 'time': 7.5, 'drive': 'two'},
        {'image': 'i/a.JPG', 'label': 'l/x.png', 'time': 3.5, 'drive': 'one'},
        {'image': 'i/c.png', 'time': 3.0, 'drive': 'one'}]


def list_of(folder: pathlib.Path, rows: Sequence[dict], ending: str = '.json') -> pathlib.Path:
    for name in ('i/a.JPG', 'i/b.png', 'i/c.png'):
        save(folder / name, np.dstack([GOOD] * 3))
    for name in ('l/x.png', 'l/b.png'):
        save(folder / name)
    path = folder / f'list{ending}'
    if ending == '.json':
        path.write_text(json.dumps(rows))
    else:
        columns = list(dict.fromkeys(key for row in rows for key in row))
        path.write_text('\n'.join([','.join(columns)] + [
            ','.join(str(row.get(column, '')) for column in columns) for row in rows]))
    return path


@pytest.mark.parametrize('ending', ['.json', '.csv'])
def test_a_list(tmp_path: pathlib.Path, ending: str) -> None:
    frames = list_listed(list_of(tmp_path, ROWS, ending), CAMVID).frames
    assert [(frame.sequence, frame.time_s, frame.image_path.name) for frame in frames] == [
        ('two', 7.5, 'b.png'), ('one', 3.0, 'c.png'), ('one', 3.5, 'a.JPG')]
    assert [frame.label_path and frame.label_path.name for frame in frames] == [
        'b.png', None, 'x.png']
    labels = frames[2].load()[1]
    assert labels is not None and (labels == 3).all()


def test_a_list_without_times(tmp_path: pathlib.Path) -> None:
    path = list_of(tmp_path, [{'image': row['image'], 'label': row.get('label', '')}
                              for row in ROWS])
    assert len({frame.sequence for frame in list_listed(path, CAMVID).frames}) == 3
    frames = list_listed(path, CAMVID, rate_hz=10).frames
    assert [(frame.sequence, frame.time_s) for frame in frames] == [('', 0), ('', 0.1), ('', 0.2)]


def without(row: dict, key: str) -> dict:
    return {name: value for name, value in row.items() if name != key}


@pytest.mark.parametrize('rows, reason', [
    ([], 'no entries'), ([{**ROWS[0], 'lable': 'x'}], 'lable is none of the columns'),
    ([without(ROWS[0], 'image')], 'entry 1 has no image'),
    ([{**ROWS[0], 'image': 'i/absent.png'}], 'image .*absent.png: no such file'),
    ([{**ROWS[0], 'label': 'l/absent.png'}], 'label .*absent.png: no such file'),
    ([{**ROWS[0], 'image': 'list.json'}], 'expected an image that ends in'),
    ([ROWS[0], ROWS[0]], 'listed more than once'),
    ([ROWS[0], without(ROWS[1], 'time')], 'entry 2 has no time, others have'),
    ([{**ROWS[0], 'time': 'soon'}], "time is 'soon': expected seconds"),
    ([{**ROWS[1], 'time': 1}, {**ROWS[2], 'time': 10**9}], '1e-09 frames a second'),
])
def test_lists_that_do_not_fit(tmp_path: pathlib.Path, rows: list[dict], reason: str) -> None:
    with pytest.raises(DatasetError, match=f'list.json.*{reason}|{reason}.*'):
        list_listed(list_of(tmp_path, rows), CAMVID)


@pytest.mark.parametrize('name, text', [('list.txt', 'a'), ('list.json', '{'), ('list.csv', '')])
def test_what_is_no_list(tmp_path: pathlib.Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError, match=f'{name}: '):
        list_listed(tmp_path / name, CAMVID)


# --- Cityscapes with classes of one's own


def test_cityscapes_by_ids_of_ones_own(tmp_path: pathlib.Path) -> None:
    write_image(tmp_path, 'aachen_000000_000019')
    labels = np.full((4, 8), 26, np.uint8)
    labels[0] = 7
    write_labels(tmp_path, 'aachen_000000_000019', labels)
    own = LabelSet('own', ('drivable', 'vehicle'), ((1, 1, 1), (2, 2, 2)), file_ids=((7,), (26,)))
    found = list_split(tmp_path, 'train', own).frames[0].load()[1]
    assert found is not None and (found[0] == 0).all() and (found[1:] == 1).all()
    with pytest.raises(DatasetError, match="'plain' does not say which label ids"):
        list_split(tmp_path, 'train', LabelSet('plain', ('a', 'b'), ((1, 1, 1), (2, 2, 2))))
