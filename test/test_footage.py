# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A rosbag, a folder of images and a video are named, read and refused alike by every tool."""

import csv
import itertools
import json
import pathlib
from typing import Any, Callable, Iterator

import av
import bags
import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from lvs_ros.benchmark import rows
from lvs_ros.datasets.footage import open_footage
from lvs_ros.errors import DatasetError, LvsError
from lvs_ros.evaluation import footage_dataset, sweep
from lvs_ros.evaluation.footage_dataset import of_footage
from lvs_ros.labels import load_label_set
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.build import build_pipeline
from lvs_ros.pipeline.frame import Frame
from lvs_ros.recordings.transport import serialize
from lvs_ros.tools.cli import main

pytestmark = pytest.mark.usefixtures('one_core')

COUNT, WIDTH, HEIGHT, RATE_HZ = 5, 64, 48, 10
PICTURES = bags.pictures(COUNT, width=WIDTH, height=HEIGHT)
LABELS = load_label_set('camvid')


def folder(path: pathlib.Path) -> pathlib.Path:
    path.mkdir()
    for index, image in enumerate(PICTURES):
        (path / f'frame{index}.png').write_bytes(bags.png(image))
    return path


def bag(path: pathlib.Path) -> pathlib.Path:
    return bags.write_rosbag2(path, [
        bags.raw_entry('/front/image_raw', image, (1 + index) * bags.S // RATE_HZ)
        for index, image in enumerate(PICTURES)])


def video(path: pathlib.Path, codec: str = 'png') -> pathlib.Path:
    """Write a video; of PNGs it is without loss."""
    path = path.with_suffix('.avi' if codec == 'mjpeg' else '.mov')
    with av.open(str(path), 'w') as container:
        stream: Any = container.add_stream(codec, rate=RATE_HZ)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = 'rgb24' if codec == 'png' else 'yuvj420p'
        for image in [*PICTURES, None]:
            frame = None if image is None else av.VideoFrame.from_ndarray(image, format='rgb24')
            container.mux(stream.encode(frame))
    return path


KINDS = (bag, folder, video)


@pytest.mark.parametrize('make', KINDS)
def test_messages_are_the_images(make: Callable[[pathlib.Path], pathlib.Path],
                                 tmp_path: pathlib.Path) -> None:
    footage = open_footage(make(tmp_path / 'drive'), rate_hz=RATE_HZ)

    messages = list(footage.messages())

    assert len(footage) == len(messages) == COUNT
    stamps = [message.decode()[0].stamp_ns for message in messages]
    assert np.diff(stamps).tolist() == pytest.approx([bags.S // RATE_HZ] * (COUNT - 1), abs=1e6)
    assert stamps[0] > 0
    for message, image in zip(messages, PICTURES):
        np.testing.assert_array_equal(message.decode()[0].image, image)
        # as a subscriber of ROS reads it
        sent: Any = bags.ROS2.deserialize_cdr(serialize(message, 'raw'), bags.IMAGE)
        np.testing.assert_array_equal(sent.data.reshape(HEIGHT, WIDTH, 3), image)
        assert sent.header.frame_id in ('front', 'camera')


def replayed(path: pathlib.Path, out: pathlib.Path, model: pathlib.Path) -> list[np.ndarray]:
    assert main(['replay', str(path), '--recording-rate', str(RATE_HZ), '--out', str(out),
                 '--schedule', 'fixed', '--model', str(model), '--copy-images']) == 0
    with AnyReader([out / 'recording']) as reader:
        messages: list[Any] = [reader.deserialize(data, connection.msgtype)
                               for connection, _, data in reader.messages()
                               if connection.topic in ('/lvs/mask', '/image_raw')]
    return [message.data.reshape(HEIGHT, -1) for message in messages]


def test_a_replay_of_any_kind_has_the_same_masks(tmp_path: pathlib.Path,
                                                 tiny_model: pathlib.Path) -> None:
    masks = [replayed(make(tmp_path / make.__name__), tmp_path / f'out_{make.__name__}',
                      tiny_model) for make in KINDS]

    assert len(masks[0]) == COUNT
    for copied in masks[1:]:    # files have their images in it on /image_raw
        np.testing.assert_array_equal(
            [one for one in copied if one.shape[1] == WIDTH], masks[0])
        np.testing.assert_array_equal([one for one in copied if one.shape[1] == 3 * WIDTH],
                                      np.array(PICTURES).reshape(COUNT, HEIGHT, -1))


def empty_bag(path: pathlib.Path) -> pathlib.Path:
    return bags.write_rosbag2(path, [], empty_topics=[('/camera', bags.IMAGE)])


def two_cameras(path: pathlib.Path) -> pathlib.Path:
    return bags.write_rosbag2(path, [
        bags.raw_entry(topic, PICTURES[0], bags.S) for topic in ('/left', '/right')])


def empty_folder(path: pathlib.Path) -> pathlib.Path:
    path.mkdir()
    return path


def text(path: pathlib.Path) -> pathlib.Path:
    path.write_text('no video')
    return path


def picture(path: pathlib.Path) -> pathlib.Path:
    path.with_suffix('.png').write_bytes(bags.png(PICTURES[0]))
    return path.with_suffix('.png')


def without_decoder(path: pathlib.Path) -> pathlib.Path:
    path = video(path, 'mjpeg')
    data = path.read_bytes()
    assert data.count(b'MJPG')
    path.write_bytes(data.replace(b'MJPG', b'ZZZZ'))
    return path


REFUSED = [
    (lambda path: path, 'no such file or folder; expected a recording: a rosbag (a rosbag2'),
    (empty_bag, 'no image was recorded; it holds: /camera'),
    (two_cameras, 'several image topics; choose one of them with --topic: /left'),
    (empty_folder, 'no images; expected files ending in .jpg'),
    (text, 'cannot be decoded as a video'),
    (picture, 'a single image; expected a recording: a rosbag'),
    (without_decoder, 'there is no decoder of this video here'),
]


@pytest.mark.parametrize('make, reason', REFUSED)
def test_what_is_no_recording(make: Callable[[pathlib.Path], pathlib.Path], reason: str,
                              tmp_path: pathlib.Path) -> None:
    with pytest.raises(LvsError) as raised:
        open_footage(make(tmp_path / 'drive'))
    assert reason in str(raised.value) and 'drive' in str(raised.value)


@pytest.mark.parametrize('words', [
    ('play',), ('replay', '--out', 'out'), ('evaluate', '--model', 'lite_camvid'),
    ('benchmark', '--variant', 'tiny', '--no-dds', '--recording'),
    ('train', '--out', 'out', '--init', 'lite_camvid', '--recording')])
def test_every_tool_refuses_it_alike(words: tuple[str, ...], tmp_path: pathlib.Path,
                                     monkeypatch: pytest.MonkeyPatch,
                                     capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    empty = empty_folder(tmp_path / 'drive')
    tool, *options = words
    assert main([tool, *options, str(empty)]) == 2 or main([tool, str(empty), *options]) == 2
    assert f'{empty}: no images; expected files ending in .jpg' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['drive']


def test_times_of_a_folder(tmp_path: pathlib.Path) -> None:
    path = folder(tmp_path / 'drive')

    def times_s(rate_hz: float | None = None) -> list[float]:
        return [round(frame.time_s, 6)
                for frame in open_footage(path, rate_hz=rate_hz).frames(range(COUNT))]

    assert times_s(rate_hz=20) == [0, 0.05, 0.1, 0.15, 0.2]
    assert times_s() == pytest.approx(np.arange(COUNT) / 15, abs=1e-6)    # a guess, which is told
    assert '15 images a second; --recording-rate' in open_footage(path).told
    (path / 'times.csv').write_text('image,time\n' + ''.join(
        f'frame{index}.png,{2 - index / 4}\n' for index in range(COUNT)))
    assert times_s() == [1, 1.25, 1.5, 1.75, 2]    # and they are put in order
    (path / 'times.csv').unlink()
    for index in range(COUNT):
        (path / f'frame{index}.png').rename(path / f'{1_600_000_000_000 + 40 * index}.png')
    assert times_s() == [0, 0.04, 0.08, 0.12, 0.16]
    with pytest.raises(LvsError, match='--recording-rate 0: expected'):
        open_footage(path, rate_hz=0)


def test_a_damaged_frame_of_a_video_is_left_out(tmp_path: pathlib.Path) -> None:
    path = video(tmp_path / 'drive')
    pictures = path.read_bytes().split(b'\x89PNG')
    # the first part is what comes before all of them
    pictures[3] = bytes(200) + pictures[3][200:]
    path.write_bytes(b'\x89PNG'.join(pictures))

    frames = list(open_footage(path).frames(range(COUNT)))

    assert len(frames) == COUNT - 1
    assert [frame.number for frame in frames] == [0, 1, 3, 4]


def test_a_long_recording_is_evaluated_in_runs(tmp_path: pathlib.Path,
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder(tmp_path / 'drive')
    for index in range(COUNT, 60):
        (path / f'frame{index}.png').write_bytes(bags.png(PICTURES[0]))
    monkeypatch.setattr(footage_dataset, 'MOST_FRAMES', 12)
    monkeypatch.setattr(footage_dataset, 'RUN_FRAMES', 4)

    dataset = of_footage(open_footage(path), LABELS)

    assert [len(drive.frames) for drive in dataset.drives] == [4, 4, 4]
    assert len({drive.frames[0].sequence for drive in dataset.drives}) == 3
    assert '12 of the 60 images' in dataset.told[0]
    assert [len(drive.frames) for drive in of_footage(
        open_footage(path), LABELS, limit=7).drives] == [7]
    monkeypatch.setattr(footage_dataset, 'MEMORY_BYTES', 6 * PICTURES[0].nbytes)
    assert of_footage(open_footage(path), LABELS).frame_count == 4


def test_another_size_begins_a_drive(tmp_path: pathlib.Path) -> None:
    path = folder(tmp_path / 'drive')
    (path / 'frame3.png').write_bytes(bags.png(PICTURES[3][:40]))

    drives = of_footage(open_footage(path), LABELS).drives

    assert [len(drive.frames) for drive in drives] == [3, 1, 1]
    for index in (1, 2, 4):
        (path / f'frame{index}.png').unlink()
    with pytest.raises(DatasetError, match='no two images of one size follow each other'):
        of_footage(open_footage(path), LABELS)


def numbers(value: Any) -> Iterator[str]:
    """Yield all names in a JSON value."""
    if isinstance(value, dict):
        yield from itertools.chain(value, *map(numbers, value.values()))
    elif isinstance(value, list):
        yield from itertools.chain(*map(numbers, value))


def test_without_labels_agreement_is_measured_and_called_so(
        tmp_path: pathlib.Path, tiny_model: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sweep, 'INTERVALS', (2,))
    out = tmp_path / 'out'
    assert main(['evaluate', str(video(tmp_path / 'drive')), '--model', str(tiny_model),
                 '--device', 'cpu', '--slow-delay-s', '0.1', '--rows', 'fixed',
                 '--fixed-interval', '3', '--no-flip-averaging', '--sweep', 'threshold', '0.5',
                 '--out', str(out)]) == 0
    printed = capsys.readouterr().out
    found = json.loads((out / 'evaluation.json').read_text(encoding='utf-8'))

    masks: dict[str, list[np.ndarray]] = {}
    for schedule in ('fixed', 'every_frame'):
        with build_pipeline(PipelineOptions(model=str(tiny_model), device='cpu',
                                            schedule=schedule, fixed_interval=3,
                                            flip_averaging=False)) as pipeline:
            masks[schedule] = [pipeline.step(Frame(image, index * bags.S // RATE_HZ)).mask
                               for index, image in enumerate(PICTURES)]
    own, per_frame = np.array(masks['fixed']), np.array(masks['every_frame'])
    counts = np.zeros((11, 11), int)
    np.add.at(counts, (per_frame, own), 1)
    union = counts.sum(0) + counts.sum(1) - counts.diagonal()
    iou = counts.diagonal()[union > 0] / union[union > 0]

    reference, fixed = found['rows']
    assert (reference['name'], fixed['name']) == ('per_frame', 'fixed')
    assert fixed['agreement'] == pytest.approx(np.mean(own == per_frame))
    assert fixed['agreement_miou'] == pytest.approx(np.mean(iou))
    assert reference['agreement'] == reference['agreement_miou'] == 1
    assert fixed['streaming_agreement_miou'] is not None
    assert fixed['labelled_frames'] == 0 and found['missing'] == []
    assert not [name for name in numbers(found) if name.startswith(('miou', 'streaming_miou'))]
    report = (out / 'tiny_evaluation.md').read_text(encoding='utf-8')
    assert 'mIoU' not in printed + report
    assert 'agreement with the per-frame network' in printed
    assert max(map(len, printed.splitlines()[:-1])) <= 80
    with open(out / 'frames.csv', encoding='utf-8', newline='') as file:
        frames = [row for row in csv.DictReader(file) if row['row'] == 'fixed']
    assert [float(row['agreement']) for row in frames] == pytest.approx(
        np.mean(own == per_frame, axis=(1, 2)), abs=1e-4)


@pytest.mark.parametrize('words, reason', [
    (('--protocol', 'offsets'), '--protocol offsets needs labels'),
    (('--refined-mask', '--slow-delay-s', '1'), '--refined-mask needs labels'),
    (('--labels', 'cityscapes'), "class 0 is 'sky' in 'camvid' and 'road' in 'cityscapes'"),
    (('--limit', '0'), 'limit is 0'),
    (('--limit', '1'), 'no two images of one size follow each other')])
def test_what_needs_labels_or_images_is_refused(
        words: tuple[str, ...], reason: str, tmp_path: pathlib.Path, tiny_model: pathlib.Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['evaluate', str(folder(tmp_path / 'drive')), '--model', str(tiny_model),
                 *words]) == 2
    assert reason in capsys.readouterr().err


def test_a_benchmark_of_own_images(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(rows, 'PARTS', 1)
    path = video(tmp_path / 'drive')
    assert main(['benchmark', '--recording', str(path), '--variant', 'tiny', '--frames', '3',
                 '--device', 'cpu', '--no-dds', '--out', str(tmp_path / 'out')]) == 0
    found = json.loads((tmp_path / 'out' / 'benchmark.json').read_text(encoding='utf-8'))
    assert found['size'] == [WIDTH, HEIGHT] and found['images'] == 'drive.mov'
    assert found['plan']['rate_hz'] == pytest.approx(RATE_HZ, rel=0.02)
    assert f'at {WIDTH}x{HEIGHT} (drive.mov) on' in ' '.join(capsys.readouterr().out.split())

    (tmp_path / 'one').mkdir()
    cv2.imwrite(str(tmp_path / 'one' / '1.png'), PICTURES[0])
    assert main(['benchmark', '--recording', str(tmp_path / 'one'), '--variant', 'tiny',
                 '--no-dds']) == 2
    assert 'no two images of one size among the 1' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(['benchmark', '--recording', str(path), '--size', '64x48'])
