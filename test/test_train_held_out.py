# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is held out of a training: never trained on, measured by the network's own path."""

import csv
import pathlib
from typing import Optional, Sequence

import cv2
import numpy as np
import pytest
import torch

from bags import S, raw_entry, write_rosbag2
from lvs_ros.backends.prepare import prepare
from lvs_ros.errors import ConfigurationError, DatasetError
from lvs_ros.evaluation.metrics import ConfusionMatrix
from lvs_ros.labels import UNLABELLED, load_label_set
from lvs_ros.model import SegmentationNetwork, VARIANTS, load_network
from lvs_ros.model.rivals import Rivals
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.build import assemble
from lvs_ros.pipeline.frame import Frame
from lvs_ros.training.data import TrainingData, load_data
from lvs_ros.training.data_options import DataOptions
from lvs_ros.training.frames import FramePool, HeldFrames
from lvs_ros.training.held_out import Moment, drives_of, hold_out
from lvs_ros.training.held_out_clips import HeldOutClips
from lvs_ros.training.teacher import Teacher
from lvs_ros.training.validation import Validator

pytestmark = pytest.mark.usefixtures('one_thread')

CPU = torch.device('cpu')
WIDTH, HEIGHT = 64, 48
CAMVID = load_label_set('camvid')


def moments(drives: dict[str, int], *, rate_hz: float = 1.0) -> list[Moment]:
    return [Moment(drive, drive, index / rate_hz, True)
            for drive, count in drives.items() for index in range(count)]


# --- the choice


@pytest.mark.parametrize('counts, share, held', [
    ({'A': 10, 'B': 10, 'C': 10}, 0.3, {'C'}),
    ({'A': 10, 'B': 3, 'C': 50}, 0.2, {'A', 'B'}),      # C alone would be far too much
    ({'A': 50, 'B': 50}, 0.1, {'B'}),                   # too much, but one drive there must be
    ({'A': 1, 'B': 1, 'C': 1, 'D': 1}, 0.5, {'C', 'D'})])
def test_whole_drives_are_held_out(counts: dict[str, int], share: float, held: set[str]) -> None:
    frames = moments(counts)
    for by in (None, 'drives'):
        parts = hold_out(frames, share, by)
        assert {frames[index].drive for index in parts.held} == held
        assert {frames[index].drive for index in parts.trained} == set(counts) - held
        assert len(parts.held) + len(parts.trained) == len(frames)


def test_the_last_part_of_each_drive_is_held_out_with_a_gap() -> None:
    frames = moments({'A': 100, 'B': 50}, rate_hz=10.0)
    # two in three have no labels: they go where their neighbours go
    frames = [one._replace(labelled=index % 3 == 0) for index, one in enumerate(frames)]
    parts = hold_out(frames, 0.2, 'time')
    for drive, count in (('A', 100), ('B', 50)):
        trained, held = ([frames[index].time_s for index in part if frames[index].drive == drive]
                         for part in (parts.trained, parts.held))
        assert min(held) - max(trained) >= 2.0 - 1e-9
        assert max(held) == (count - 1) / 10 and len(trained) + len(held) + 19 <= count
        labelled = [one for one in frames if one.drive == drive and one.labelled]
        assert sum(one.time_s >= min(held) for one in labelled) == round(0.2 * len(labelled))
    assert 'frames less than 2 s before the held-out ones are not' in parts.told[0]


def test_one_drive_is_shared_out_by_time() -> None:
    parts = hold_out(moments({'A': 20}), 0.25, None)
    assert parts.held.tolist() == [15, 16, 17, 18, 19]
    assert parts.trained.tolist() == list(range(14))    # 14 s is less than 2 s before 15 s
    with pytest.raises(ConfigurationError, match='1 drive is known.*--val-by time'):
        hold_out(moments({'A': 20}), 0.25, 'drives')


def test_frames_of_no_known_drive_are_told_with_a_warning() -> None:
    names = [f'{index:04x}' for index in range(10)]
    parts = hold_out([Moment(drive, name, 0.0, True)
                      for name, drive in zip(names, drives_of(names))], 0.2, None)
    assert parts.held.tolist() == [8, 9] and len(parts.trained) == 8
    assert 'WARNING: neither drives nor times' in parts.told[1]
    folders = drives_of(['monday/a', 'monday/b', 'tuesday/c', 'tuesday/d'])
    assert folders == ['monday', 'monday', 'tuesday', 'tuesday']


@pytest.mark.parametrize('count, share', [(10, 0.01), (2, 0.5)])
def test_nothing_on_one_side_is_refused(count: int, share: float) -> None:
    with pytest.raises(ConfigurationError, match='expected some on both sides'):
        hold_out(moments({'A': count}), share, 'time')


# --- the data


def drive(folder: pathlib.Path, levels: Sequence[int], *, name: str = 'A', rate_hz: int = 10,
          label: int = 3) -> pathlib.Path:
    """Write frames that can be told by their brightness; all of one class."""
    for part in ('images', 'labels'):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for index, level in enumerate(levels):
        stem = f'{name}_{index * 30 // rate_hz:05d}.png'
        cv2.imwrite(str(folder / 'images' / stem), grey(level))
        cv2.imwrite(str(folder / 'labels' / stem), np.full((HEIGHT, WIDTH), label, np.uint8))
    return folder


def grey(level: int) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), level, np.uint8)


def levels_of(pools: Sequence[FramePool]) -> set[int]:
    return {int(level) for pool in pools
            for level in pool.request(np.arange(len(pool)))()[0][:, 0, 0, 0]}


def loaded(teacher: Optional[Teacher] = None, **options: object) -> TrainingData:
    given = DataOptions(street_clips=0, **options)  # type: ignore[arg-type]
    given.check()
    return load_data(given, CPU, label_set=CAMVID, teacher=teacher)


class Threes(Teacher):
    """Labels everything 3."""

    def __init__(self) -> None:
        pass

    def mask(self, image: np.ndarray) -> np.ndarray:
        return np.full(image.shape[:2], 3, np.uint8)


@pytest.mark.parametrize('memory_gb', [2.0, 0.0])
@pytest.mark.parametrize('by', ['drives', 'time'])
def test_no_held_out_frame_is_in_a_source(tmp_path: pathlib.Path, by: str, memory_gb: float
                                          ) -> None:
    drive(tmp_path, range(0, 80, 2), name='A')
    drive(tmp_path, range(100, 180, 2), name='B')
    data = loaded(camvid=tmp_path, val_share=0.3, val_by=by, memory_gb=memory_gb)
    assert data.held_out is not None
    trained = levels_of([source.pool for source in data.sources])
    held = levels_of(data.held_out.pools)
    assert held and not trained & held
    assert held == (set(range(100, 180, 2)) if by == 'drives'
                    else {*range(56, 80, 2), *range(156, 180, 2)})
    assert trained == (set(range(0, 80, 2)) if by == 'drives'
                       else {*range(0, 18, 2), *range(100, 118, 2)})    # 2 s before are neither


def test_unlabelled_neighbours_of_held_out_frames_are_not_trained_on(tmp_path: pathlib.Path
                                                                     ) -> None:
    drive(tmp_path, range(0, 200, 5))
    rows = [(f'images/{path.name}', f'labels/{path.name}' if index % 4 == 0 else '', index / 2)
            for index, path in enumerate(sorted((tmp_path / 'images').iterdir()))]
    with open(tmp_path / 'list.csv', 'w', newline='') as file:
        csv.writer(file).writerows([('image', 'label', 'time'), *rows])
    data = loaded(data=tmp_path / 'list.csv', labels=CAMVID, val_share=0.2)
    assert data.held_out is not None
    # labelled are the levels 0, 20, …; of ten of them the last two are held out
    assert levels_of(data.held_out.pools) == set(range(160, 200, 5))
    assert levels_of([data.sources[0].pool]) == set(range(0, 145, 5))


@pytest.mark.parametrize('kind', ['folder', 'bag'])
def test_footage_of_held_out_frames_is_not_trained_on(tmp_path: pathlib.Path, kind: str) -> None:
    drive(tmp_path / 'drive', range(0, 240, 4), rate_hz=2)
    footage = tmp_path / 'drive' / 'images'
    if kind == 'bag':
        footage = write_rosbag2(tmp_path / 'bag', [
            raw_entry('/camera', grey(level), S + index * S // 2)
            for index, level in enumerate(range(0, 240, 4))])
    data = loaded(Threes(), camvid=tmp_path / 'drive', val_share=0.2, recordings=[footage],
                  recording_rate_hz=2.0)
    assert data.held_out is not None and levels_of(data.held_out.pools) == set(range(192, 240, 4))
    assert len(data.sources) == 2
    for source in data.sources:    # 2 s, four frames, before them are not trained on, either
        assert max(levels_of([source.pool])) <= 188 - 3 * 4
    assert 'frames show what is held out' in ' '.join(data.told)


def test_recordings_are_shared_out_and_measured_by_agreement(tmp_path: pathlib.Path) -> None:
    folder = drive(tmp_path, range(0, 200, 5)) / 'images'
    data = loaded(Threes(), recordings=[folder], recording_rate_hz=4.0, val_share=0.25)
    assert data.held_out is not None
    assert levels_of(data.held_out.pools) == set(range(150, 200, 5))
    assert levels_of([data.sources[0].pool]) == set(range(0, 115, 5))
    network = SegmentationNetwork(VARIANTS['tiny']('camvid', 11)).eval()
    validator = Validator(HeldOutClips(data.held_out.pools), CAMVID.names, torch.ones(11))
    with torch.no_grad():
        measured = validator.of_stage('propagation', network, Rivals(network))()
    assert measured.measure == 'agreement' and 'miou' not in measured.values


def test_data_of_its_own_is_held_out(tmp_path: pathlib.Path) -> None:
    trained, held = drive(tmp_path / 'a', [0, 10, 20]), drive(tmp_path / 'b', [30, 40], name='B')
    data = loaded(camvid=trained, val=held)
    assert data.held_out is not None and levels_of(data.held_out.pools) == {30, 40}
    assert levels_of([data.sources[0].pool]) == {0, 10, 20}
    assert 'the held-out part lacks 10 of 11 classes: sky, building' in ' '.join(data.told)


def test_held_out_images_among_those_to_train_on_are_refused(tmp_path: pathlib.Path) -> None:
    trained, held = drive(tmp_path / 'a', [0, 10, 20]), drive(tmp_path / 'b', [30, 20], name='B')
    with pytest.raises(DatasetError, match='1 of its 2 images are among those to be trained on, '
                                           'the first is B_00003.png'):
        loaded(camvid=trained, val=held)
    with pytest.raises(DatasetError, match='3 of its 3 images'):
        loaded(camvid=trained, val=trained)


def test_held_out_labels_that_do_not_fit_are_refused(tmp_path: pathlib.Path) -> None:
    trained = drive(tmp_path / 'a', [0, 10, 20])
    other = drive(tmp_path / 'b', [30, 40], label=18)
    with pytest.raises(DatasetError, match='b/labels/A_00000.png: class id 18; expected 0 to 10'):
        loaded(camvid=trained, val=other)
    empty = drive(tmp_path / 'c', [30, 40], label=255)
    with pytest.raises(DatasetError, match='no pixel of the held-out part is labelled'):
        loaded(camvid=trained, val=empty)
    with pytest.raises(DatasetError, match='nowhere'):
        loaded(camvid=trained, val=tmp_path / 'nowhere')


# --- the measures


@pytest.fixture(scope='module')
def clip_pool() -> HeldFrames:
    """Return two frames a tenth of a second apart, the second labelled."""
    random = np.random.default_rng(3)
    scene = cv2.resize(random.integers(0, 256, (12, 20, 3)).astype(np.uint8), (104, 64))
    images = np.stack([scene[:HEIGHT, x:x + WIDTH] for x in (0, 3)])
    labels = np.full((2, HEIGHT, WIDTH), UNLABELLED, np.uint8)
    labels[1] = random.integers(0, 11, (HEIGHT, WIDTH))
    labels[1, :10] = UNLABELLED
    return HeldFrames(torch.from_numpy(images), torch.from_numpy(labels), ('a', 'a'), (0.0, 0.1))


def naive_iou(labels: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    found = {}
    for class_id, name in enumerate(CAMVID.names):
        truth, said = labels == class_id, (mask == class_id) & (labels != UNLABELLED)
        either = int((truth | said).sum())
        found[name] = int((truth & said).sum()) / either if either else float('nan')
    return found


def test_the_network_is_measured_by_its_forward_path(
        clip_pool: HeldFrames, tiny_model: pathlib.Path) -> None:
    network, weights = load_network(tiny_model), torch.linspace(0.5, 2, 11)
    validator = Validator(HeldOutClips([clip_pool]), CAMVID.names, weights)
    with torch.no_grad():
        measured = validator.of_stage('network', network, Rivals(network))()
        images, labels = clip_pool.request(np.array([1]))()
        logits = network(images)
    expected = naive_iou(labels[0].numpy(), logits[0].argmax(0).numpy())
    assert measured.classes == pytest.approx(expected, nan_ok=True, abs=1e-3)
    assert measured.value == pytest.approx(np.nanmean(list(expected.values())), abs=1e-3)
    chances, truth = logits[0].log_softmax(0).numpy(), labels[0].numpy()
    known = [(y, x) for y, x in np.argwhere(truth != UNLABELLED)]
    of_known = [float(weights[int(truth[place])]) for place in known]
    losses = [-weight * chances[truth[place]][place] for weight, place in zip(of_known, known)]
    assert measured.values['cross_entropy'] == pytest.approx(sum(losses) / sum(of_known), rel=1e-4)


def test_propagation_is_measured_as_the_pipeline_propagates(
        clip_pool: HeldFrames, tiny_model: pathlib.Path) -> None:
    network = load_network(tiny_model)
    validator = Validator(HeldOutClips([clip_pool]), CAMVID.names, torch.ones(11))
    with torch.no_grad():
        measured = validator.of_stage('propagation', network, Rivals(network))()
    images, labels = clip_pool.request(np.arange(2))()
    options = PipelineOptions(device='cpu', precision='float32', schedule='fixed',
                              fixed_interval=5, flip_averaging=False)
    with assemble(prepare(network, device=CPU, precision='float32'), options) as pipeline:
        masks = [pipeline.step(Frame(np.ascontiguousarray(
            image.permute(1, 2, 0).byte().numpy()), index * 100_000_000)).mask
            for index, image in enumerate(images)]
    matrix = ConfusionMatrix(11)
    matrix.add(labels[1].numpy(), masks[1])
    assert measured.value == pytest.approx(matrix.miou(), abs=2e-3)


def test_the_deviation_is_measured_against_full_segmentations(
        clip_pool: HeldFrames, tiny_model: pathlib.Path) -> None:
    network = load_network(tiny_model)
    measure = Validator(HeldOutClips([clip_pool]), CAMVID.names, torch.ones(11)).of_stage(
        'deviation', network, Rivals(network))
    with torch.no_grad():
        first, second = measure(), measure()
        images, _ = clip_pool.request(np.arange(2))()
        masks = network(images).argmax(1)
        lows = network.low(images)
        predicted = float(network.deviation(lows[:1], lows[1:]))
    # the middle frame is the oldest one here: the same pair twice
    truth = float((masks[0] != masks[1]).float().mean())
    assert first.value == pytest.approx(abs(predicted - truth), abs=1e-3)
    assert first == second and first.falls and first.score[0] == -first.value


def test_made_up_motion_is_the_same_every_time_and_leaves_no_trace(
        clip_pool: HeldFrames) -> None:
    alone = clip_pool.subset(np.array([1]))
    clips = HeldOutClips([alone])
    assert clips.real == 0 and HeldOutClips([clip_pool]).real == 1
    torch.manual_seed(5)
    before = torch.get_rng_state()
    [first], [second] = clips.clips(), clips.clips()
    assert torch.equal(torch.get_rng_state(), before)
    for one, other in zip(first.images, second.images):
        assert torch.equal(one, other)
    assert not torch.equal(first.images[0], first.images[-1])
    assert torch.equal(first.images[-1], alone.request(np.array([0]))()[0])    # as it is


def test_many_held_out_frames_are_thinned_out() -> None:
    pool = HeldFrames(torch.zeros(1200, 1, 1, 3, dtype=torch.uint8),
                      torch.zeros(1200, 1, 1, dtype=torch.uint8), ('a',) * 1200,
                      tuple(float(one) for one in range(1200)))
    clips = HeldOutClips([pool])
    assert len(clips) == 500 and 'measured on 500 of the 1200' in ' '.join(clips.told)
