# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Training: augmentation by its properties, the losses by hand, and a run of all stages."""

import json
import pathlib

import numpy as np
import pytest
import torch

from lvs_ros.model import SegmentationNetwork, load_network, read_notes
from lvs_ros.model.checkpoint import load_rivals, rivals_path
from lvs_ros.model.rivals import Rivals
from lvs_ros.tools.cli import main
from lvs_ros.training.augment import (CropRange, grid_of, look, paste, pixel_points,
                                      random_shade, random_views)
from lvs_ros.training.frames import HeldFrames
from lvs_ros.training.loop import LoopOptions, fit
from lvs_ros.training.losses import (cross_entropy, distillation, root_frequency_weights,
                                     soft_jaccard)
from lvs_ros.training.motion import Motion, random_motion
from lvs_ros.training.sampling import Sampler, Source
from test_camvid import write

pytestmark = pytest.mark.usefixtures('one_thread', 'bare_training')

CPU = torch.device('cpu')
IDENTITY = torch.eye(2, 3)[None]


def picture(height: int = 8, width: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(0)
    image = torch.from_numpy(random.integers(0, 256, (1, 3, height, width))).float()
    labels = torch.from_numpy(random.integers(0, 11, (1, height, width)).astype(np.uint8))
    return image, labels


def test_the_identity_view_changes_nothing() -> None:
    image, labels = picture()
    seen, ids = look(image, labels, grid_of(IDENTITY, pixel_points(1, 8, 12, CPU)))
    torch.testing.assert_close(seen, image, atol=1e-3, rtol=0)
    assert (ids == labels).all()


def test_a_shifted_view_is_unlabelled_outside_the_frame() -> None:
    image, labels = picture()
    view = IDENTITY.clone()
    view[0, 0, 2] = 2 * 5 / 12        # five pixels to the right
    seen, ids = look(image, labels, grid_of(view, pixel_points(1, 8, 12, CPU)))
    assert (ids[0, :, :7] == labels[0, :, 5:]).all()
    assert (ids[0, :, 7:] == 255).all()
    torch.testing.assert_close(seen[..., :7], image[..., 5:], atol=1e-3, rtol=0)


def test_views_keep_the_shape_of_things() -> None:
    # In pixels, a view is a similarity: its columns are orthogonal and equally long.
    for view in random_views(20, 90, 120, CPU, CropRange(stretch=1.0)):
        matrix = view[:, :2] * torch.tensor([[120.], [90.]]) / torch.tensor([[120., 90.]])
        gram = matrix.T @ matrix
        assert gram[0, 1].abs() < 1e-4
        assert gram[0, 0] == pytest.approx(float(gram[1, 1]), rel=1e-4)


def test_views_stretch_a_little() -> None:
    torch.manual_seed(0)
    ratios = []
    for view in random_views(200, 90, 120, CPU, CropRange(zoom=(1.0, 1.0), stretch=1.2)):
        columns = (view[:, :2] * torch.tensor([[120.], [90.]]) / torch.tensor([[120., 90.]])).norm(
            dim=0)
        ratios.append(float(columns[0] / columns[1]))
        assert float(columns.prod()) == pytest.approx(1.0, rel=1e-4)
    assert 1 / 1.2 <= min(ratios) < 0.87 and 1.15 < max(ratios) <= 1.2


def test_what_is_rare_is_pasted_with_its_labels() -> None:
    # each sample has a background of its own level, and one thing of class 2 in its own column
    torch.manual_seed(0)
    count, levels = 64, torch.arange(64)
    labels = torch.zeros(count, 4, count, dtype=torch.int64)
    labels[levels, 1:3, levels] = 2
    labels[:, 0] = 255
    images = levels.float()[:, None, None, None].expand(count, 3, 4, count)
    seen, ids = paste(images, labels, torch.tensor([False, True, True]))
    pasted = 0
    for index in levels.tolist():
        thing = ids[index] == 2
        columns = set(thing.any(0).nonzero().flatten().tolist())
        assert columns in ({index}, {index, (index - 1) % count})
        assert (ids[index][:, index] == labels[index][:, index]).all()
        pasted += len(columns) - 1
        # image and labels come from the same sample; nothing else has changed
        other = (index - 1) % count
        assert (seen[index, :, 1:3, other] == (other if len(columns) == 2 else index)).all()
        assert int((seen[index, 0] != index).sum()) == 2 * (len(columns) - 1)
        assert (ids[index][0] == 255).all()
    assert 5 < pasted < 28    # a quarter of 64
    assert torch.equal(paste(images, labels, torch.tensor([False, True, False]))[1], labels)


def test_shade_changes_light_and_not_shape() -> None:
    torch.manual_seed(0)
    images = torch.tensor([60.0, 80.0, 100.0])[None, :, None, None].expand(200, 3, 12, 16)
    seen = random_shade(images, probability=0.5)
    ratio = seen / images
    untouched = (seen == images).flatten(1).all(1)
    grey = (seen[:, 0] == seen[:, 2]).flatten(1).all(1)
    assert 0.3 < untouched.float().mean() < 0.65 and 1 <= int(grey.sum()) < 30
    # all channels of a pixel get the same light
    lit = ratio[~untouched & ~grey]
    assert lit.min() >= np.exp(-0.8) - 1e-4 and lit.max() <= np.exp(0.8) + 1e-4
    torch.testing.assert_close(lit[:, 0], lit[:, 2])


def test_labels_move_with_the_picture() -> None:
    # a picture whose brightness is its label: after any view and motion they still agree
    labels = torch.arange(4).repeat_interleave(16)[None, None].expand(1, 48, 64).to(torch.uint8)
    image = labels.float()[:, None].expand(1, 3, 48, 64) * 50
    points = pixel_points(1, 48, 64, CPU)
    torch.manual_seed(0)
    for view in random_views(10, 48, 64, CPU, CropRange()):
        seen, ids = look(image, labels, grid_of(view[None], points))
        flat = ids != 255
        # edges are interpolated in the picture and sharp in the labels
        agree = (seen[:, 0][flat] / 50 - ids[flat]).abs() < 0.51
        assert agree.float().mean() > 0.97


def test_motion_grows_out_of_its_focus() -> None:
    points = pixel_points(1, 9, 9, CPU)
    still = Motion(growth=torch.full((1, 9, 9), 0.5), focus=torch.zeros(1, 1, 1, 2),
                   shift=torch.zeros(1, 1, 1, 2), roll=torch.zeros(1, 1, 1))
    torch.testing.assert_close(still.back(points, 0.0), points)
    torch.testing.assert_close(still.back(points, 1.0), points * 1.5)
    torch.testing.assert_close(still.back(points, 0.5), points * 1.25)


def test_random_motions_reach_from_rest_to_fast() -> None:
    torch.manual_seed(0)
    motion = random_motion(torch.zeros(64, 16, 16, dtype=torch.int64))
    points = pixel_points(64, 16, 16, CPU)
    moved = (motion.back(points, 1.0) - points).norm(dim=-1).mean((1, 2))
    assert moved.min() < 0.02 and 0.1 < moved.max() < 1.0


def test_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[[[0.0, 2.0, 5.0]], [[1.0, 0.0, 5.0]]]])
    labels = torch.tensor([[[0, 1, 255]]])
    weights = torch.tensor([1.0, 3.0])
    first, second = np.log(1 + np.e), np.log(1 + np.e ** 2)
    expected = (first + 3 * second) / 4
    assert float(cross_entropy(logits, labels, weights)) == pytest.approx(expected, rel=1e-5)


def test_soft_jaccard_of_a_certain_answer() -> None:
    labels = torch.tensor([[[0] * 500 + [1] * 500]])
    right = torch.stack([(labels == 0), (labels == 1)], 1).float() * 100
    assert float(soft_jaccard(right, labels)) == pytest.approx(0.0, abs=1e-3)
    assert float(soft_jaccard(right.flip(1), labels)) == pytest.approx(1.0, abs=2e-3)


def test_soft_jaccard_leaves_out_what_does_not_occur() -> None:
    # class 2 is nowhere in the labels; an unlabelled pixel counts for nothing
    labels = torch.tensor([[[0] * 400 + [1] * 400 + [255]]])
    chance = torch.tensor([0.5, 0.5, 1e-12]).log()[None, :, None, None].expand(1, 3, 1, 801)
    expected = 1 - (200 + 1) / (400 + 400 - 200 + 1)
    assert float(soft_jaccard(chance, labels)) == pytest.approx(expected, rel=1e-4)


def test_distillation_is_zero_only_for_the_teacher() -> None:
    teacher = torch.randn(2, 5, 3, 3)
    assert float(distillation(teacher + 7, teacher)) == pytest.approx(0, abs=1e-6)
    assert float(distillation(-teacher, teacher)) > 0.1


def test_rare_classes_weigh_more() -> None:
    weights = root_frequency_weights(torch.tensor([900, 100]))
    assert float(weights[1] / weights[0]) == pytest.approx(3.0, rel=1e-4)    # sqrt(900 / 100)


def test_earlier_frames_stay_within_the_clip() -> None:
    pool = HeldFrames(torch.zeros(5, 1, 1, 3), torch.zeros(5, 1, 1), ('a', 'a', 'b', 'b', 'b'),
                      (0.0, 0.1, 0.0, 0.1, 0.2))
    assert list(pool.earlier(4, longest_s=1.0)) == [2, 3]
    assert list(pool.earlier(4, longest_s=0.1)) == [3]
    assert list(pool.earlier(2, longest_s=1.0)) == []


def test_clips_end_with_their_labelled_frame() -> None:
    labels = torch.arange(4).repeat_interleave(16)[None, None].expand(3, 48, 64)
    images = (labels * 60)[..., None].expand(3, 48, 64, 3).to(torch.uint8)
    pool = HeldFrames(images, labels.to(torch.uint8), ('a', 'a', 'b'), (0.0, 1.0, 0.0))
    sampler = Sampler([Source(pool)], crop=(32, 40), seed=0)
    clip = sampler.clip(4)
    assert [tuple(image.shape) for image in clip.images] == [(4, 3, 32, 40)] * 3
    assert clip.labels.shape == (4, 32, 40)


def test_an_interrupted_stage_goes_on_where_it_was(tmp_path: pathlib.Path) -> None:
    calls = []

    def train(steps: int) -> torch.Tensor:
        torch.manual_seed(0)
        model = torch.nn.Linear(1, 1)

        def losses() -> dict[str, torch.Tensor]:
            calls.append(1)
            return {'square': model.weight.square().sum()}

        fit('stage', model, losses, LoopOptions(steps=steps, batch_size=1, learning_rate=0.1,
                                                folder=tmp_path))
        return model.weight

    train(30)
    assert len(calls) == 30
    train(50)
    assert len(calls) == 50
    weight = train(50)              # nothing is left to do; the result is there again
    assert len(calls) == 50 and weight.abs() < 1
    assert json.loads((tmp_path / 'stage.jsonl').read_text().split('\n')[0])['step'] == 20


def test_a_broken_checkpoint_is_named(tmp_path: pathlib.Path,
                                      capsys: pytest.CaptureFixture[str]) -> None:
    small_data(tmp_path)
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'network.checkpoint.safetensors').write_bytes(b'broken')
    assert train_command(tmp_path, '--stages', 'network') == 2
    assert 'network.checkpoint.safetensors: not a readable checkpoint' in capsys.readouterr().err


def small_data(folder: pathlib.Path) -> None:
    (folder / 'data').mkdir()
    for index in range(4):
        labels = np.zeros((48, 64), np.uint8)
        labels[24:] = 3
        write(folder / 'data', f'A_{index * 30:05d}', labels, (64, 48))


def train_command(folder: pathlib.Path, *more: str) -> int:
    return main(['train', '--camvid', str(folder / 'data'), '--out', str(folder / 'out'),
                 '--variant', 'tiny', '--steps', '3', '--batch-size', '2',
                 '--crop', '32', '48', '--street-clips', '1', '--street-frames', '3',
                 '--device', 'cpu', *more])


def test_all_stages_train_what_they_should_and_nothing_else(tmp_path: pathlib.Path) -> None:
    small_data(tmp_path)
    path = tmp_path / 'out' / 'model.safetensors'

    def weights_after(stage: str) -> dict[str, torch.Tensor]:
        init = [] if stage == 'network' else ['--init', str(path)]
        assert train_command(tmp_path, '--stages', stage, *init) == 0
        if stage not in ('small', 'small_half', 'recurrent'):
            assert read_notes(path)['last_stage'] == stage
        return load_network(path).state_dict()

    after = {stage: weights_after(stage) for stage in (
        'network', 'propagation', 'detail', 'deviation', 'small', 'small_half', 'recurrent')}

    def changed(first: str, second: str) -> set[str]:
        return {name.split('.')[0] for name, value in after[first].items()
                if not torch.equal(value, after[second][name])}

    assert load_network(path).config.image_size == (64, 48)    # of the frames, not of the crops
    assert changed('network', 'propagation') == {'kernel_predictor', 'adapt_net'}
    assert not changed('propagation', 'detail')
    new = {name.split('.')[0] for name in set(after['detail']) - set(after['propagation'])}
    assert new == {'detail_head'} and after['detail']['detail_head.correction.weight'].any()
    assert changed('detail', 'deviation') == {'deviation_net'}
    assert not changed('deviation', 'small') and not changed('small', 'recurrent')
    assert not changed('small', 'small_half')
    assert train_command(tmp_path, '--stages', 'network', '--init', str(path), '--out',
                         str(tmp_path / 'other'), '--steps', '1') == 0
    assert load_network(tmp_path / 'other' / 'model.safetensors').detail_head is None
    trained, fresh = load_rivals(rivals_path(path), load_network(path)), Rivals(load_network(path))
    different = {name.split('.')[0] for name, value in trained.state_dict().items()
                 if not torch.equal(value, fresh.state_dict()[name])}
    assert different == {'small', 'small_half', 'recurrent'}


@pytest.mark.parametrize('stage, frames', [
    ('propagation', 2), ('deviation', 3), ('recurrent', 3)])
def test_the_teacher_sees_mirror_images(
        tmp_path: pathlib.Path, tiny_model: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
        stage: str, frames: int) -> None:
    # of the frame that is to be matched, of the one that is propagated, of all that are compared
    small_data(tmp_path)
    refined = []
    refine = SegmentationNetwork.refine

    def watched(self: SegmentationNetwork, high: torch.Tensor, image: torch.Tensor
                ) -> torch.Tensor:
        refined.append(image)
        return refine(self, high, image)

    monkeypatch.setattr(SegmentationNetwork, 'refine', watched)
    assert train_command(tmp_path, '--init', str(tiny_model), '--stages', stage,
                         '--steps', '1') == 0
    del refined[0]    # --init is tried before it is trained
    assert len(refined) == frames
    assert all(not torch.equal(image, refined[0]) for image in refined[1:])


def test_a_checkpoint_of_another_start_is_refused(
        tmp_path: pathlib.Path, tiny_model: pathlib.Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    small_data(tmp_path)
    assert train_command(tmp_path, '--init', str(tiny_model), '--stages', 'deviation') == 0
    path = tmp_path / 'out' / 'model.safetensors'
    before = path.read_bytes()
    # what was trained is no start for the same folder, and neither is other data
    assert train_command(tmp_path, '--init', str(path), '--stages', 'deviation') == 2
    assert 'set out from other weights or other data' in capsys.readouterr().err
    assert train_command(tmp_path, '--init', str(tiny_model), '--stages', 'deviation',
                         '--hide-labels', '--street-clips', '0') == 2
    assert path.read_bytes() == before
    assert train_command(tmp_path, '--init', str(tiny_model), '--stages', 'deviation') == 0


def test_comparison_weights_leave_the_notes_of_the_model(
        tmp_path: pathlib.Path, tiny_model: pathlib.Path) -> None:
    small_data(tmp_path)
    path = tmp_path / 'out' / 'model.safetensors'
    assert train_command(tmp_path, '--init', str(tiny_model), '--stages', 'small') == 0
    assert read_notes(path) == read_notes(tiny_model)
    assert rivals_path(path).is_file()


def test_comparison_weights_that_are_there_go_on(
        tmp_path: pathlib.Path, tiny_model: pathlib.Path) -> None:
    def weights(*more: str) -> dict[str, torch.Tensor]:
        assert train_command(tmp_path, '--init', str(tiny_model), '--stages', 'small', *more) == 0
        path = tmp_path / 'out' / 'model.safetensors'
        rivals = load_rivals(rivals_path(path), load_network(path))
        return rivals.small_network('small').state_dict()

    small_data(tmp_path)
    before = weights('--learning-rate', '0.1')
    (tmp_path / 'out' / 'small.checkpoint.safetensors').unlink()
    after = weights('--steps', '0')
    assert all(torch.equal(value, before[name]) for name, value in after.items()
               if value.ndim)    # but for counters of batches


def test_parts_can_start_anew(tmp_path: pathlib.Path, tiny_model: pathlib.Path) -> None:
    small_data(tmp_path)
    assert train_command(tmp_path, '--init', str(tiny_model), '--stages', 'deviation',
                         '--steps', '0', '--anew', 'propagation') == 0
    before = load_network(tiny_model).state_dict()
    after = load_network(tmp_path / 'out' / 'model.safetensors').state_dict()
    differing = {name.split('.')[0] for name, value in after.items()
                 if not torch.allclose(value, before[name], atol=1e-3)}
    assert differing == {'kernel_predictor', 'adapt_net'}


def test_counts_that_fit_no_stages_are_refused(
        tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_data(tmp_path)
    assert train_command(tmp_path, '--steps', '1', '2') == 2
    assert '--steps has 2 numbers: expected one for each of the stages' in capsys.readouterr().err
    assert train_command(tmp_path, '--minutes', '-1') == 2
    assert not (tmp_path / 'out').exists()
