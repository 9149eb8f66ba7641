# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a training draws from: footage, pools, clips; and data that is refused."""

import dataclasses
import pathlib
import subprocess
import sys
import wave
from typing import Callable

import av
import cv2
import numpy as np
import pytest
import torch

from bags import S, Entry, IMAGE, png, compressed_entry, raw_entry, write_rosbag2
from lvs_ros.datasets.camvid import list_camvid
from lvs_ros.datasets.footage import open_footage, spread_runs
from lvs_ros.errors import DatasetError
from lvs_ros.labels import UNLABELLED
from lvs_ros.model import (VARIANTS, SegmentationNetwork, load_network, read_notes,
                           save_network)
from lvs_ros.tools.cli import main
from lvs_ros.training.augment import CropRange, random_views
from lvs_ros.training.drive_pool import drive_pool
from lvs_ros.training.footage_pool import footage_pool
from lvs_ros.training.frames import Batch, FramePool, HeldFrames, LazyFrames
from lvs_ros.training.pool_options import PoolOptions
from lvs_ros.training.sampling import Sampler, Source
from lvs_ros.training.teacher import Teacher
from test_camvid import write
from test_cityscapes import write_image, write_labels

pytestmark = pytest.mark.usefixtures('one_thread', 'bare_training')

CPU = torch.device('cpu')
WIDTH, HEIGHT = 64, 48
ROAD = np.full((HEIGHT, WIDTH), 3, np.uint8)


def grey(level: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def image_folder(folder: pathlib.Path, count: int = 6) -> pathlib.Path:
    folder.mkdir()
    for index in range(count):
        cv2.imwrite(str(folder / f'frame{index}.png'), grey(20 * index))
    return folder


def video(path: pathlib.Path, count: int = 6, rate_hz: int = 10) -> pathlib.Path:
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mpeg4', rate=rate_hz)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, 'yuv420p'
        for index in range(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey(20 * index), 'rgb24')))
        container.mux(stream.encode(None))
    return path


def bag(path: pathlib.Path, count: int = 6) -> pathlib.Path:
    return write_rosbag2(path, [raw_entry('/camera', grey(20 * index), S + index * S // 10)
                                for index in range(count)])


class Brightness(Teacher):
    """Labels an image by its brightness, for pools to be told apart from their teacher."""

    def __init__(self) -> None:
        pass

    def mask(self, image: np.ndarray) -> np.ndarray:
        return image[..., 0] // 20


OPTIONS = PoolOptions(CPU, teacher=Brightness())


# --- footage


@pytest.mark.parametrize('make', [image_folder, video, bag])
def test_footage_of_any_kind(tmp_path: pathlib.Path,
                             make: Callable[[pathlib.Path], pathlib.Path]) -> None:
    footage = open_footage(make(tmp_path / 'drive.mp4'), rate_hz=10.0)
    assert len(footage) == 6
    frames = list(footage.frames({1, 4}))
    assert frames[1].time_s - frames[0].time_s == pytest.approx(0.3)
    for frame, level in zip(frames, (20, 80)):
        assert frame.image.shape == (HEIGHT, WIDTH, 3) and frame.image.dtype == np.uint8
        assert np.abs(frame.image.astype(int) - level).max() <= 3    # the video is lossy


def test_malformed_images_are_left_out(tmp_path: pathlib.Path) -> None:
    entries = [compressed_entry('/camera', data, (1 + index) * S)
               for index, data in enumerate([png(grey(0)), b'no picture', png(grey(40))])]
    pool = footage_pool(open_footage(write_rosbag2(tmp_path / 'bag', entries)), OPTIONS, limit=0)
    assert len(pool) == 2
    np.testing.assert_allclose(np.diff(pool.times_s), 2)


def test_a_recording_that_begins_again_is_two_clips(tmp_path: pathlib.Path) -> None:
    entries = [raw_entry('/camera', grey(0), stamp * S // 10, log_time_ns=(1 + index) * S)
               for index, stamp in enumerate([10, 11, 12, 10, 11])]
    pool = footage_pool(open_footage(write_rosbag2(tmp_path / 'bag', entries)), OPTIONS, limit=0)
    assert [len(pool.earlier(index, longest_s=1.0)) for index in range(5)] == [0, 1, 2, 0, 1]
    assert pool.with_earlier(1.0).tolist() == [1, 2, 4]


@pytest.mark.parametrize('count, limit', [(1000, 100), (101, 100), (5000, 2000), (49, 7), (9, 1)])
def test_runs_are_spread_over_a_long_drive(count: int, limit: int) -> None:
    chosen = sorted(spread_runs(count, limit))
    assert limit - 24 < len(chosen) <= limit
    assert 0 <= chosen[0] and chosen[-1] < count
    gaps = np.diff(chosen)
    if limit >= 24:
        assert (gaps == 1).mean() >= 23 / 24 - 0.01    # within runs the frames follow each other
    # the largest part that is left out is not much longer than the others
    assert max([1, *gaps]) <= count / max(1, limit // 24) + 1
    assert list(spread_runs(count, 0)) == list(range(count))


# --- pools


def labelled_drive(folder: pathlib.Path, count: int = 4) -> pathlib.Path:
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    for index in range(count):
        labels = random.integers(0, 12, (HEIGHT, WIDTH)).astype(np.uint8)
        write(folder, f'A_{index * 30:05d}', labels, (WIDTH, HEIGHT))
    return folder


@pytest.mark.parametrize('teacher', [None, Brightness()])
@pytest.mark.parametrize('size', [None, (32, 24)])
def test_held_and_lazy_pools_agree(tmp_path: pathlib.Path, teacher: Teacher | None,
                                   size: tuple[int, int] | None) -> None:
    frames = list_camvid(labelled_drive(tmp_path))
    options = PoolOptions(CPU, size=size, teacher=teacher)
    held = drive_pool(frames, options)
    lazy = drive_pool(frames, dataclasses.replace(options, memory_gb=0.0))
    assert isinstance(held, HeldFrames) and isinstance(lazy, LazyFrames)
    indices = np.array([2, 0, 2])
    for one, other in zip(held.request(indices)(), lazy.request(indices)()):
        assert torch.equal(one, other) and one.dtype == other.dtype
    assert held.request(indices)()[0].shape == (3, 3, *(size or (WIDTH, HEIGHT))[::-1])
    for name in ('clips', 'times_s', 'taught', 'size'):
        assert getattr(held, name) == getattr(lazy, name)
    assert held.labelled.all() and lazy.labelled.all()
    assert held.taught == (teacher is not None)
    assert set(lazy.label_sample.unique().tolist()) <= set(held.label_sample.unique().tolist())


def test_footage_is_labelled_by_the_teacher(tmp_path: pathlib.Path) -> None:
    footage = open_footage(image_folder(tmp_path / 'drive'), rate_hz=10.0)
    held = footage_pool(footage, OPTIONS, limit=0)
    lazy = footage_pool(footage, dataclasses.replace(OPTIONS, memory_gb=0.0), limit=0)
    assert isinstance(held, HeldFrames) and isinstance(lazy, LazyFrames)
    for pool in (held, lazy):
        images, labels = pool.request(np.array([4, 1]))()
        assert pool.taught and pool.size == (HEIGHT, WIDTH)
        assert (labels[0] == 4).all() and (labels[1] == 1).all()
        assert (images[0] - 80).abs().max() <= 2 and images.dtype == torch.float32
        assert list(pool.earlier(4, longest_s=0.2)) == [2, 3]


def test_the_teacher_is_the_full_network() -> None:
    torch.manual_seed(0)
    network = SegmentationNetwork(VARIANTS['tiny']('camvid', 11)).eval()
    image = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
    with torch.no_grad():
        batch = torch.from_numpy(image).permute(2, 0, 1)[None].float()
        # The classifier is linear: the mean of the features is that of the logits.
        logits = ((network(batch) + network(batch.flip(3)).flip(3)) / 2).numpy()
    np.testing.assert_array_equal(Teacher(network).mask(image), logits[0].argmax(0))


def test_a_frame_of_another_size_is_named(tmp_path: pathlib.Path) -> None:
    labelled_drive(tmp_path)
    write(tmp_path, 'A_00090', ROAD[:40, :60], (60, 40))
    with pytest.raises(DatasetError, match=r'A_00090.jpg: 60x40 pixels.*64x48.*--size'):
        drive_pool(list_camvid(tmp_path), PoolOptions(CPU))
    assert len(drive_pool(list_camvid(tmp_path), PoolOptions(CPU, size=(32, 24)))) == 4


# --- batches


class Recorder(HeldFrames):
    """Notes which frames were asked for; every pixel of frame i is i, and so is its label."""

    def __init__(self, count: int = 12, *, rate_hz: float = 10.0, taught: bool = False,
                 labelled: Callable[[int], bool] = lambda index: True) -> None:
        levels = torch.arange(count, dtype=torch.uint8)
        labels = torch.tensor([index if labelled(index) else UNLABELLED
                               for index in range(count)], dtype=torch.uint8)
        super().__init__(levels[:, None, None, None].expand(count, 32, 40, 3),
                         labels[:, None, None].expand(count, 32, 40), ('drive',) * count,
                         tuple(index / rate_hz for index in range(count)), taught=taught)
        self.asked: list[list[int]] = []

    def request(self, indices: np.ndarray) -> Callable[[], Batch]:
        self.asked.append(indices.tolist())
        return super().request(indices)


def sampler_of(*pools: FramePool, seed: int = 0, real_time: float = 1.0) -> Sampler:
    return Sampler([Source(pool, real_time=real_time) for pool in pools], crop=(32, 40), seed=seed)


def test_clips_of_a_drive_are_in_real_time() -> None:
    pool = Recorder()
    sampler = sampler_of(pool)
    drawn = []
    for _ in range(20):
        pool.asked.clear()
        sampler.clip(4, longest_s=0.3)
        drawn.append(pool.asked[:3])    # of the next clip, drawn ahead
    real = np.array([one for one in drawn if len(one) == 3])
    assert len(real) > 12
    oldest, middle, newest = real.transpose(1, 0, 2)
    assert (oldest < newest).all() and (oldest <= middle).all() and (middle <= newest).all()
    assert (newest - oldest).max() == 3


def test_frames_that_stand_alone_are_moved() -> None:
    pool = Recorder(rate_hz=1.0)
    clip = sampler_of(pool).clip(3)
    assert {len(one) for one in pool.asked} == {3} and len(pool.asked) == 2
    assert len(clip.images) == 3 and clip.labels.shape == (3, 32, 40)


def test_recordings_mix_real_and_synthetic_motion() -> None:
    pool = Recorder(24, taught=True)
    sampler = sampler_of(pool, real_time=0.5)
    kinds = []
    for _ in range(60):
        pool.asked.clear()
        sampler.clip(1)
        kinds.append(len(pool.asked))
    assert 0.25 < np.mean([kind == 3 for kind in kinds]) < 0.75


def test_frames_come_from_labelled_ones_only() -> None:
    taught, some = Recorder(taught=True), Recorder(labelled=lambda index: index in (3, 7))
    sampler = sampler_of(taught, some)
    for _ in range(5):
        _, labels = sampler.frames(4)
        assert set(labels.unique().tolist()) <= {3, 7, UNLABELLED}
    assert not taught.asked and {index for one in some.asked for index in one} == {3, 7}


def test_half_of_the_clips_end_with_a_label() -> None:
    pool = Recorder(60, rate_hz=17.0, labelled=lambda index: index % 30 == 19)
    sampler, labelled = sampler_of(pool), []
    for _ in range(20):
        clip = sampler.clip(8)
        labelled += [bool((one != UNLABELLED).any()) for one in clip.labels]
    assert 0.35 < np.mean(labelled) < 0.75


def test_the_next_batch_is_read_ahead_and_leaves_no_trace() -> None:
    first, second = Recorder(), Recorder()
    sampler, other = sampler_of(first, seed=1), sampler_of(second, seed=2)
    sampler.clip(2)
    state = sampler.random.bit_generator.state
    ahead = [one for one in first.asked]
    first.asked.clear()
    sampler.clip(2)
    other.clip(2)
    other.random.bit_generator.state = state
    second.asked.clear()
    other.clip(2)
    # What the resumed sampler asks for first is what the other had asked for ahead.
    parts = len(second.asked) - len(first.asked)
    assert parts in (1, 3) and second.asked[:parts] == ahead[-parts:]
    assert second.asked[parts:] == first.asked


def test_crops_keep_the_scale_and_the_shape_of_things() -> None:
    torch.manual_seed(0)
    frame_height, frame_width, height, width = 100, 300, 60, 80
    crop = CropRange(zoom=(0.75, 2.2), stretch=1.0)
    for view in random_views(30, height, width, CPU, crop, frame=(100, 300)):
        pixels = (torch.diag(torch.tensor([frame_width, frame_height]) / 2) @ view[:, :2]
                  @ torch.diag(2 / torch.tensor([float(width), float(height)])))
        gram = pixels.T @ pixels
        assert gram[0, 1].abs() < 1e-4
        assert float(gram[0, 0]) == pytest.approx(float(gram[1, 1]), rel=1e-4)
        assert 1 / 2.2 - 1e-4 <= float(gram[0, 0].sqrt()) <= 1 / 0.75 + 1e-4
        # the whole crop lies within the frame where it is smaller, but for the rotation
        reach = view[:, :2].abs().sum(1) + view[:, 2].abs()
        assert reach[0] < 1.1


# --- the command


def test_labelled_images_need_no_reader_of_recordings() -> None:
    # a training server may have neither PyAV nor rosbags
    code = """
import sys
for name in ('av', 'rosbags', 'rclpy'):
    sys.modules[name] = None
import lvs_ros.tools.train
import lvs_ros.training.stages
"""
    subprocess.run([sys.executable, '-c', code], check=True, timeout=120)


def train(folder: pathlib.Path, *more: str) -> int:
    return main(['train', '--out', str(folder / 'out'), '--steps', '2', '--batch-size', '2',
                 '--crop', '32', '48', '--street-frames', '2', '--device', 'cpu', *more])


@pytest.mark.parametrize('memory_gb', ['2', '0'])
def test_recordings_need_no_label(tmp_path: pathlib.Path, tiny_model: pathlib.Path,
                                  memory_gb: str) -> None:
    image_folder(tmp_path / 'frames')
    bag(tmp_path / 'bag')
    assert train(tmp_path, '--recording', str(tmp_path / 'frames'), str(tmp_path / 'bag'),
                 '--init', str(tiny_model), '--memory-gb', memory_gb) == 0
    path = tmp_path / 'out' / 'model.safetensors'
    before, after = load_network(tiny_model).state_dict(), load_network(path).state_dict()
    changed = {name.split('.')[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {'kernel_predictor', 'adapt_net', 'deviation_net'}
    notes = read_notes(path)
    assert notes['data'] == 'recording frames: 6 frames, recording bag: 6 frames'
    assert notes['last_stage'] == 'deviation'


def test_hidden_labels_are_never_read(tmp_path: pathlib.Path, tiny_model: pathlib.Path) -> None:
    data = labelled_drive(tmp_path / 'data')
    for path in (data / 'labels').iterdir():
        path.write_bytes(b'not to be read')
    assert train(tmp_path, '--camvid', str(data), '--hide-labels', '--init', str(tiny_model)) == 0
    notes = read_notes(tmp_path / 'out' / 'model.safetensors')
    assert notes['data'] == 'CamVid data without its labels: 4 frames'


def tiny_cityscapes(root: pathlib.Path) -> pathlib.Path:
    for number in range(17, 22):
        write_image(root, f'ulm_000000_{number:06d}', package='leftImg8bit_sequence',
                    size=(WIDTH, HEIGHT))
    write_image(root, 'ulm_000000_000019', size=(WIDTH, HEIGHT))
    write_labels(root, 'ulm_000000_000019', np.full((HEIGHT, WIDTH), 7, np.uint8))
    return root


@pytest.fixture
def cityscapes_model(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / 'cityscapes.safetensors'
    save_network(SegmentationNetwork(VARIANTS['tiny']('cityscapes', 19)), path)
    return path


@pytest.mark.parametrize('memory_gb', ['2', '0'])
def test_cityscapes_trains_from_its_videos(
        tmp_path: pathlib.Path, cityscapes_model: pathlib.Path, memory_gb: str) -> None:
    root = tiny_cityscapes(tmp_path / 'data')
    assert train(tmp_path, '--cityscapes', str(root), '--init', str(cityscapes_model),
                 '--stages', 'propagation', '--memory-gb', memory_gb) == 0
    notes = read_notes(tmp_path / 'out' / 'model.safetensors')
    assert notes['data'] == 'Cityscapes train: 5 frames'


# --- what is refused: said by name, before anything is written


def refused(folder: pathlib.Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    assert train(folder, *more) == 2
    assert not (folder / 'out').exists()
    return capsys.readouterr().err


def empty_bag(path: pathlib.Path) -> None:
    write_rosbag2(path, [], empty_topics=[('/camera', IMAGE)])


def bag_of_rubbish(path: pathlib.Path) -> None:
    write_rosbag2(path, [Entry('/camera', IMAGE, S, {}, raw=b'\0\1\0\0rubbish')])


def folder_of_texts(path: pathlib.Path) -> None:
    path.mkdir()
    (path / 'notes.txt').write_text('no image')


def broken_image(path: pathlib.Path) -> None:
    image_folder(path)
    (path / 'frame3.png').write_bytes(b'no picture')


def sizes_that_differ(path: pathlib.Path) -> None:
    image_folder(path)
    cv2.imwrite(str(path / 'frame3.png'), grey(0, width=60))


def sound_alone(path: pathlib.Path) -> None:
    with wave.open(str(path), 'wb') as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(1600))


@pytest.mark.parametrize('make, reason', [
    (lambda path: None, 'drive: no such file or folder; expected a recording'),
    (empty_bag, 'drive: no image was recorded; it holds: /camera'),
    (bag_of_rubbish, 'drive: none of its images can be decoded'),
    (folder_of_texts, 'drive: no images; expected files ending in .jpg'),
    (broken_image, 'frame3.png: cannot be read as an image'),
    (sizes_that_differ, 'frame3.png: 60x48 pixels, but the frames before it have 64x48'),
    (lambda path: path.write_bytes(b'no video'), 'drive: cannot be decoded as a video'),
    (sound_alone, 'drive: cannot be decoded as a video (it holds no video)'),
])
def test_footage_that_is_none(
        tmp_path: pathlib.Path, tiny_model: pathlib.Path, capsys: pytest.CaptureFixture[str],
        make: Callable[[pathlib.Path], object], reason: str) -> None:
    make(tmp_path / 'drive')
    assert reason in refused(tmp_path, capsys, '--recording', str(tmp_path / 'drive'),
                             '--init', str(tiny_model))


@pytest.mark.parametrize('memory_gb', ['2', '0'])
@pytest.mark.parametrize('labels, reason', [
    (np.full((HEIGHT, WIDTH), 12, np.uint8), 'A_00060.png: class id 12; expected 0 to 10'),
    (ROAD[:, :60], 'A_00060.png: 60x48 pixels, but the image'),
])
def test_labels_that_do_not_fit(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str],
                                labels: np.ndarray, reason: str, memory_gb: str) -> None:
    data = labelled_drive(tmp_path / 'data')
    cv2.imwrite(str(data / 'labels' / 'A_00060.png'), labels)
    assert reason in refused(tmp_path, capsys, '--camvid', str(data), '--memory-gb', memory_gb)


def test_a_missing_data_set(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = str(tmp_path / 'nowhere')
    assert 'nowhere/images: no such folder' in refused(tmp_path, capsys, '--camvid', nowhere)
    assert 'leftImg8bit/train: no such folder' in refused(
        tmp_path, capsys, '--cityscapes', nowhere)


def test_a_model_of_other_classes(
        tmp_path: pathlib.Path, cityscapes_model: pathlib.Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    data = str(labelled_drive(tmp_path / 'data'))
    error = refused(tmp_path, capsys, '--camvid', data, '--init', str(cityscapes_model))
    assert 'cityscapes.safetensors: the model labels the 19 classes' in error
    assert "the 11 of 'camvid'" in error and '--variant' in error
    few = tmp_path / 'few.safetensors'
    save_network(SegmentationNetwork(VARIANTS['tiny']('camvid', 5)), few)
    assert 'few.safetensors: the model labels the 5 classes' in refused(
        tmp_path, capsys, '--camvid', data, '--init', str(few))


@pytest.mark.parametrize('options, reason', [
    ((), 'nothing to train on'),
    (('--camvid', 'a', '--cityscapes', 'b'), 'do not share a label set'),
    (('--recording', 'a'), 'give a trained model with --init'),
    (('--recording', 'a', '--stages', 'network'), 'the full network is the teacher'),
    (('--camvid', 'a', '--hide-labels', '--stages', 'network'), 'the full network is the teacher'),
    (('--camvid', 'a', '--hide-labels', '--stages', 'detail'), 'the full network is the teacher'),
    (('--hide-labels', '--street-clips', '1'), 'hides the labels of --camvid'),
    (('--camvid', 'a', '--size', '8', '8'), 'at least 32 pixels'),
    (('--recording', 'a', '--init', 'lite_camvid', '--variant', 'tiny'),
     'would change its full network'),
])
def test_options_that_do_not_go_together(
        tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...],
        reason: str) -> None:
    assert reason in refused(tmp_path, capsys, *options)


def test_a_backbone_alone_is_no_teacher(tmp_path: pathlib.Path,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    image_folder(tmp_path / 'frames')
    network = SegmentationNetwork(VARIANTS['tiny']('camvid', 11))
    path = tmp_path / 'imported.safetensors'
    save_network(network, path, notes={'starts_anew': 'head, classifier, kernel_predictor'})
    assert train(tmp_path, '--recording', str(tmp_path / 'frames'), '--init', str(path)) == 2
    assert 'imported.safetensors: only its backbone has been trained' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
