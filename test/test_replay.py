# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs replay`` with a network of random weights."""

import json
import pathlib
from typing import Any

import av
import bags
import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
import torch

from lvs_ros.model import SegmentationNetwork, save_network
from lvs_ros.model.config import tiny
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.build import build_pipeline
from lvs_ros.pipeline.execution import SimulatedExecutor
from lvs_ros.pipeline.frame import Frame
from lvs_ros.tools.cli import main

COUNT = 10
PICTURES = bags.pictures(COUNT)  # of odd size, 65x49
STAMPS = [1_600_000_000 * bags.S + i * 66_666_667 for i in range(COUNT)]
LOG_TIMES = [stamp_ns + 3_000_000 for stamp_ns in STAMPS]


@pytest.fixture(scope='module')
def model(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp('model') / 'tiny.safetensors'
    save_network(SegmentationNetwork(tiny('camvid', 11)), path)
    return path


def raw_entries() -> list[bags.Entry]:
    return [bags.raw_entry('/image_raw', image, stamp_ns, padding=3, log_time_ns=log_time_ns)
            for image, stamp_ns, log_time_ns in zip(PICTURES, STAMPS, LOG_TIMES)]


def replay(bag: pathlib.Path, out: pathlib.Path, model: pathlib.Path, *options: str) -> int:
    return main(['replay', str(bag), '--out', str(out), '--model', str(model), *options])


def read(out: pathlib.Path) -> dict[str, list[Any]]:
    """Return the messages of each topic of the written recording, with their log times."""
    found: dict[str, list[Any]] = {}
    with AnyReader([out / 'recording']) as reader:
        for connection, log_time_ns, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            found.setdefault(connection.topic, []).append((log_time_ns, message))
    return found


def masks(out: pathlib.Path) -> list[np.ndarray]:
    return [message.data.reshape(message.height, message.width)
            for _, message in read(out)['/lvs/mask']]


def summary(out: pathlib.Path) -> dict[str, Any]:
    return json.loads((out / 'summary.json').read_text(encoding='utf-8'))


def video_frames(out: pathlib.Path, name: str = 'tiny_overlay.mp4') -> list[np.ndarray]:
    with av.open(str(out / name)) as container:
        return [frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)]


def stamp_of(message: Any) -> int:
    return message.header.stamp.sec * bags.S + message.header.stamp.nanosec


def test_every_frame_gets_its_mask_and_status(tmp_path: pathlib.Path,
                                              model: pathlib.Path) -> None:
    bag = bags.write_rosbag2(tmp_path / 'bag', raw_entries())

    assert replay(bag, tmp_path / 'out', model, '--schedule', 'fixed', '--fixed-interval',
                  '4') == 0

    topics = read(tmp_path / 'out')
    assert set(topics) == {'/lvs/mask', '/lvs/mask_forecast', '/lvs/status'}
    forecasts = topics.pop('/lvs/mask_forecast')    # the first one has no frame before it
    assert [stamp_of(message) for _, message in forecasts] == [
        STAMPS[0], *(stamp_ns + 66_666_667 for stamp_ns in STAMPS[1:])]
    assert [log_time_ns for log_time_ns, _ in forecasts] == LOG_TIMES
    for messages in topics.values():
        assert [stamp_of(message) for _, message in messages] == STAMPS
        assert [log_time_ns for log_time_ns, _ in messages] == LOG_TIMES
        assert {message.header.frame_id for _, message in messages} == {'front'}
    for _, mask in topics['/lvs/mask']:
        assert (mask.width, mask.height, mask.step, mask.encoding) == (65, 49, 65, 'mono8')
        assert mask.data.max() < 11
    statuses = [message for _, message in topics['/lvs/status']]
    assert [status.key_frame for status in statuses] == [i in (0, 4, 8) for i in range(COUNT)]
    assert [status.key_age_frames for status in statuses] == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    assert [status.frames_received for status in statuses] == list(range(1, COUNT + 1))
    assert {status.schedule for status in statuses} == {'fixed'}


def test_refined_masks_are_those_of_the_full_network(tmp_path: pathlib.Path, model: pathlib.Path
                                                     ) -> None:
    bag = bags.write_rosbag2(tmp_path / 'bag', raw_entries())

    assert replay(bag, tmp_path / 'out', model, '--threshold', '0', '--slow-delay-s', '0.03',
                  '--refined-mask') == 0

    # S_h and flip averaging take 0.06 s, and the next image comes after 0.067 s
    twice = read(tmp_path / 'out')['/lvs/mask_refined']
    assert [stamp_of(message) for _, message in twice[::2]] == STAMPS[1:]    # the first is in full
    refined = twice[1::2]    # after flip averaging
    assert [stamp_of(message) for _, message in refined] == STAMPS[1:]
    assert {message.header.frame_id for _, message in refined} == {'front'}
    options = PipelineOptions(model=str(model), schedule='every_frame')
    with build_pipeline(options, SimulatedExecutor(0.0)) as pipeline:
        for image, stamp_ns, (_, message) in zip(PICTURES[1:], STAMPS[1:], refined):
            np.testing.assert_array_equal(message.data.reshape(49, 65),
                                          pipeline.step(Frame(image, stamp_ns)).mask)


def test_the_masks_are_those_of_the_pipeline(tmp_path: pathlib.Path, model: pathlib.Path) -> None:
    bag = bags.write_rosbag2(tmp_path / 'bag', raw_entries())
    options = PipelineOptions(model=str(model), threshold=0.0)

    assert replay(bag, tmp_path / 'out', model, '--threshold', '0', '--slow-delay-s', '0.15') == 0

    with build_pipeline(options, SimulatedExecutor(0.15)) as pipeline:
        expected = [pipeline.step(Frame(image, stamp_ns)).mask
                    for image, stamp_ns in zip(PICTURES, STAMPS)]
    assert len(np.unique(expected)) > 1  # or the comparison would say little
    np.testing.assert_array_equal(masks(tmp_path / 'out'), expected)
    assert summary(tmp_path / 'out')['key_frames'] == COUNT


def test_two_replays_are_the_same(tmp_path: pathlib.Path, model: pathlib.Path) -> None:
    bag = bags.write_rosbag1(tmp_path / 'drive.bag', raw_entries())
    for name in ('one', 'two'):
        assert replay(bag, tmp_path / name, model, '--storage', 'sqlite3') == 0

    one, two = read(tmp_path / 'one'), read(tmp_path / 'two')

    assert len(one['/lvs/mask']) == COUNT
    for (_, first), (_, second) in zip(one['/lvs/mask'], two['/lvs/mask']):
        assert first.data.tobytes() == second.data.tobytes()
    for (_, first), (_, second) in zip(one['/lvs/status'], two['/lvs/status']):
        np.testing.assert_equal(first.deviation, second.deviation)
        assert first.key_stamp == second.key_stamp


def test_the_other_outputs_can_be_read(tmp_path: pathlib.Path, model: pathlib.Path,
                                       capsys: pytest.CaptureFixture) -> None:
    bag = bags.write_rosbag2(tmp_path / 'bag', raw_entries())

    assert replay(bag, tmp_path / 'out', model, '--copy-images') == 0

    out = tmp_path / 'out'
    assert {path.name for path in out.iterdir()} == {
        'recording', 'tiny_overlay.mp4', 'tiny_overlay_forecast.mp4', 'tiny_deviation.png',
        'summary.json'}
    frames = video_frames(out)
    assert len(frames) == COUNT and {frame.shape for frame in frames} == {frames[0].shape}
    assert frames[0].shape[0] > 50 and frames[0].shape[1] == 66    # with a caption
    # Nothing had been forecast when the first image came.
    assert len(video_frames(out, 'tiny_overlay_forecast.mp4')) == COUNT - 1
    assert cv2.imread(str(out / 'tiny_deviation.png')) is not None
    found = summary(out)
    assert (found['images'], found['masks'], found['dropped']) == (COUNT, COUNT, [])
    assert (found['recording'], found['topic']) == ('bag', '/image_raw')
    assert found['schedule'] == 'low_latency'
    assert list(found['stage_ms']) == ['wait', 'input', 'low', 'slow_track', 'deviation',
                                       'propagation', 'classify', 'output', 'rest']
    copied = [message for _, message in read(out)['/image_raw']]
    assert [message.data.tobytes() for message in copied] == [
        entry.fields['data'].tobytes() for entry in raw_entries()]
    assert f'{COUNT} masks' in capsys.readouterr().out


def test_the_overlay_shows_the_image_under_the_colours(tmp_path: pathlib.Path,
                                                       model: pathlib.Path) -> None:
    black, white = (np.full((48, 64, 3), value, np.uint8) for value in (0, 255))
    bag = bags.write_rosbag2(tmp_path / 'bag', [
        bags.raw_entry('/image_raw', black, STAMPS[0], encoding='bgr8'),
        bags.raw_entry('/image_raw', white, STAMPS[1], encoding='bgr8')])

    assert replay(bag, tmp_path / 'out', model) == 0

    dark, light = video_frames(tmp_path / 'out')
    assert dark[:48].mean() < 128 < light[:48].mean()


def test_malformed_images_are_dropped_with_their_reason(
        tmp_path: pathlib.Path, model: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    content = raw_entries()
    content[2].fields['encoding'] = 'rgb7'
    content[5].fields['data'] = content[5].fields['data'][:100]
    bag = bags.write_rosbag2(tmp_path / 'bag', content)

    assert replay(bag, tmp_path / 'out', model) == 0

    kept = [stamp_ns for i, stamp_ns in enumerate(STAMPS) if i not in (2, 5)]
    topics = read(tmp_path / 'out')
    assert [stamp_of(message) for _, message in topics['/lvs/mask']] == kept
    assert topics['/lvs/status'][-1][1].frames_dropped == 2
    assert topics['/lvs/status'][-1][1].frames_received == COUNT
    assert len(video_frames(tmp_path / 'out')) == COUNT - 2
    found = summary(tmp_path / 'out')
    assert (found['images'], found['masks']) == (COUNT, COUNT - 2)
    assert [entry['index'] for entry in found['dropped']] == [2, 5]
    assert 'rgb7' in found['dropped'][0]['reason']
    assert 'bytes' in found['dropped'][1]['reason']
    assert '2 malformed images were dropped, the first is number 2' in capsys.readouterr().out


def test_a_recording_without_one_good_image_is_an_error(
        tmp_path: pathlib.Path, model: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    bag = bags.write_rosbag2(tmp_path / 'bag', [
        bags.compressed_entry('/image/compressed', b'no image', stamp_ns) for stamp_ns in STAMPS])

    assert replay(bag, tmp_path / 'out', model) == 2

    assert f'none of the {COUNT} images' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['bag']


def test_a_jump_in_time_and_size_is_noted(tmp_path: pathlib.Path, model: pathlib.Path) -> None:
    content = raw_entries()[:6]
    for number, entry in enumerate(content[3:]):  # as in a recording of a looped one
        entry.fields['stamp_ns'] = STAMPS[number]
    larger = bags.pictures(1, width=80, height=64)[0]
    content.append(bags.raw_entry('/image_raw', larger, STAMPS[3], log_time_ns=LOG_TIMES[6]))
    bag = bags.write_rosbag2(tmp_path / 'bag', content)

    assert replay(bag, tmp_path / 'out', model) == 0

    resets = summary(tmp_path / 'out')['resets']
    assert [entry['index'] for entry in resets] == [3, 6]
    assert 'time went back' in resets[0]['reason']
    assert '80x64' in resets[1]['reason']
    assert masks(tmp_path / 'out')[-1].shape == (64, 80)
    assert len({frame.shape for frame in video_frames(tmp_path / 'out')}) == 1


def test_an_earlier_replay_is_replaced_only_when_asked(
        tmp_path: pathlib.Path, model: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    bag = bags.write_rosbag2(tmp_path / 'bag', raw_entries()[:2])
    assert replay(bag, tmp_path / 'out', model) == 0

    assert replay(bag, tmp_path / 'out', model, '--schedule', 'every_frame') == 2
    assert '--force' in capsys.readouterr().err
    assert summary(tmp_path / 'out')['schedule'] == 'low_latency'
    assert replay(bag, tmp_path / 'out', model, '--schedule', 'every_frame', '--force') == 0
    assert summary(tmp_path / 'out')['schedule'] == 'every_frame'


@pytest.mark.parametrize('options, reason', [
    (['--threshold', '1.5'], '1.5'), (['--threshold', 'nan'], 'nan'),
    (['--model', 'absent'], 'absent'), (['--labels', 'absent'], 'absent'),
    (['--labels', 'cityscapes'], "class 0 is 'sky' in 'camvid' and 'road' in 'cityscapes'"),
    (['--topic', '/absent'], '/absent')])
def test_impossible_options_leave_nothing(
        options: list[str], reason: str, tmp_path: pathlib.Path, model: pathlib.Path,
        capsys: pytest.CaptureFixture) -> None:
    bag = bags.write_rosbag2(tmp_path / 'bag', raw_entries()[:2])

    assert replay(bag, tmp_path / 'out', model, *options) == 2

    assert reason in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['bag']
