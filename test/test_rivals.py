# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The comparison rows' own modules: the gated recurrent unit by hand, small networks, files."""

import dataclasses
import pathlib

import numpy as np
import pytest
import torch
from graph_recorder import CallRecorder
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from lvs_ros.backends.eager import prepare
from lvs_ros.backends.graphs.stages import GraphStages
from lvs_ros.backends.network_stages import NetworkStages
from lvs_ros.errors import ModelFileError
from lvs_ros.evaluation.rows import ROWS, build_row
from lvs_ros.model import SegmentationNetwork, load_network, save_network
from lvs_ros.model.checkpoint import load_rivals, rivals_in, rivals_path, save_rivals
from lvs_ros.model.config import tiny
from lvs_ros.model.rivals import RIVALS, GatedRecurrentUnit, Rivals, run_recurrent
from lvs_ros.model.small_network import SMALL_SHAPES, SmallNetwork, SmallShape
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.build import assemble
from lvs_ros.pipeline.execution import SimulatedExecutor
from lvs_ros.pipeline.frame import Frame
from lvs_ros.pipeline.propagation import HoldPropagation

pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.fixture
def model(tmp_path: pathlib.Path) -> pathlib.Path:
    """A tiny model with comparison weights, all random, beside it."""
    torch.manual_seed(5)
    network = SegmentationNetwork(dataclasses.replace(tiny('camvid', 11), alignment='flow'))
    rivals = Rivals(network)
    rivals.trained = set(RIVALS)
    save_network(network, tmp_path / 'm.safetensors', half=False)
    save_rivals(rivals, network, tmp_path / 'm.rivals.safetensors')
    return tmp_path / 'm.safetensors'


def frames(count: int) -> list[Frame]:
    random = np.random.default_rng(1)
    return [Frame(random.integers(0, 256, (64, 96, 3)).astype(np.uint8), number * 66_000_000)
            for number in range(count)]


def test_the_recurrent_unit_follows_its_equations() -> None:
    torch.manual_seed(0)
    unit = GatedRecurrentUnit(3)
    for parameter in unit.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    before, now = torch.rand(1, 3, 6, 7).softmax(1), torch.rand(1, 3, 6, 7).softmax(1)
    image_before, image = torch.rand(1, 3, 6, 7), torch.rand(1, 3, 6, 7)
    # the content was one position further right
    displacement = torch.zeros(1, 2, 6, 7)
    displacement[:, 0] = 1
    warped = torch.cat((before[..., 1:], before[..., -1:]), -1)
    image_warped = torch.cat((image_before[..., 1:], image_before[..., -1:]), -1)

    def conv(x: torch.Tensor, name: str) -> torch.Tensor:
        layer = getattr(unit, name)
        return functional.conv2d(functional.pad(x, (2, 2, 2, 2)), layer.weight, layer.bias)

    r = 1 - torch.tanh(torch.abs(conv(image - image_warped, 'reset_image')))
    h = conv(now, 'candidate_now') + conv(r * warped, 'candidate_before')
    z = 1 / (1 + torch.exp(-conv(now, 'update_now') - conv(warped, 'update_before')))
    scores = unit.sharpness * ((1 - z) * r * warped + z * h)
    expected = scores.exp() / scores.exp().sum(1, keepdim=True)
    torch.testing.assert_close(unit(before, now, image_before, image, displacement), expected)


def test_running_over_frames_is_one_unit_after_the_other() -> None:
    torch.manual_seed(0)
    unit = GatedRecurrentUnit(2)
    chances = [torch.rand(1, 2, 4, 4).softmax(1) for _ in range(3)]
    images = [torch.rand(1, 3, 4, 4) for _ in range(3)]
    still = torch.zeros(1, 2, 4, 4)
    first = unit(chances[0], chances[1], images[0], images[1], still)
    second = unit(first, chances[2], images[1], images[2], still)
    torch.testing.assert_close(run_recurrent(unit, chances, images, [still, still]), second)
    assert run_recurrent(unit, chances[:1], images[:1], []) is chances[0]


@pytest.mark.parametrize('align_corners', [False, True])
@torch.inference_mode()
def test_a_small_network_labels_at_a_quarter_of_the_image(align_corners: bool) -> None:
    torch.manual_seed(0)
    config = dataclasses.replace(tiny('camvid', 11), align_corners=align_corners)
    small = SmallNetwork(config, SmallShape((8, 8, 16, 16), (1, 1, 1, 1), 8, 8)).eval()
    image = torch.rand(1, 3, 64 + align_corners, 96 + align_corners) * 255
    logits = small.classify(small.high(small.low(image)))
    assert logits.shape == (1, 11, 16 + align_corners, 24 + align_corners)
    expected = functional.interpolate(logits, image.shape[2:], mode='bilinear',
                                      align_corners=align_corners)
    torch.testing.assert_close(small(image), expected)
    mask, _ = small.label_map(logits, (32, 48), image.shape[2:])
    assert (mask == functional.interpolate(
        logits, (32, 48), mode='bilinear', align_corners=align_corners).argmax(1)[0]
        ).float().mean() > 0.99


def test_the_smaller_one_has_less_than_half_of_the_work() -> None:
    works = {}
    for name, shape in SMALL_SHAPES.items():
        small = SmallNetwork(tiny('camvid', 11), shape).eval()
        with FlopCounterMode(display=False) as counter:
            small(torch.zeros(1, 3, 96, 128))
        works[name] = counter.get_total_flops()
    assert works['small_half'] < works['small'] / 2


def test_training_begins_from_what_fits_of_the_large_network() -> None:
    torch.manual_seed(0)
    network = SegmentationNetwork(tiny('camvid', 11))    # 8 channels in stage 1
    small = SmallNetwork(network.config, SmallShape((12, 16, 20, 64), (1, 1, 1, 1), 8, 8))
    small.begin_from(network)
    known, taken = network.backbone.state_dict(), small.backbone.state_dict()
    torch.testing.assert_close(taken['layer2.0.conv2.weight'], known['layer2.0.conv2.weight'])
    torch.testing.assert_close(taken['layer1.0.conv1.weight'][:8, :8],
                               known['layer1.0.conv1.weight'])
    assert not taken['layer1.0.conv1.weight'][:8, 8:].any()
    assert taken['layer1.0.conv1.weight'][8:].any()    # what is new can learn
    torch.testing.assert_close(taken['layer3.0.conv1.weight'],
                               known['layer3.0.conv1.weight'][:20])


@pytest.mark.parametrize('row, name', [('small_per_frame', 'small'),
                                       ('small_per_frame_half', 'small_half')])
def test_a_small_row_labels_with_its_small_network(row: str, name: str, model: pathlib.Path
                                                   ) -> None:
    small = load_rivals(rivals_path(model), load_network(model)).small_network(name)
    frame = frames(1)[0]
    with build_row(row, PipelineOptions(model=str(model), device='cpu')) as pipeline:
        mask = pipeline.step(frame).mask
    with torch.inference_mode():
        expected = small(torch.from_numpy(frame.image).permute(2, 0, 1)[None].float()).argmax(1)
    assert (mask == expected[0].numpy()).mean() > 0.99    # batch norms are folded


def test_graphs_of_a_small_network_compute_the_same() -> None:
    torch.manual_seed(0)
    small = SmallNetwork(tiny('camvid', 11), SMALL_SHAPES['small_half'])
    prepare(small, torch.device('cpu'), torch.float32)
    propagation = HoldPropagation()
    options = PipelineOptions(schedule='every_frame', flip_averaging=False, device='cpu')

    def masks(stages: NetworkStages) -> list[np.ndarray]:
        with assemble(small, options, propagation=propagation, stages=stages,
                      executor=SimulatedExecutor(0.0, threads=1)) as pipeline:
            # a copy: on the CPU, it is the graph's memory
            return [pipeline.step(frame).mask.copy() for frame in frames(4)]

    recorder = CallRecorder()
    captured = masks(GraphStages(small, propagation, recorder))
    assert recorder.captured
    np.testing.assert_array_equal(captured, masks(NetworkStages(small, propagation)))


def test_smoothing_looks_at_five_frames_and_forgets_them_on_reset(model: pathlib.Path) -> None:
    def masks(images: list[Frame]) -> list[np.ndarray]:
        with build_row('grfp5', PipelineOptions(model=str(model), device='cpu')) as pipeline:
            return [pipeline.step(frame).mask for frame in images]

    stream = frames(8)
    whole = masks(stream)
    np.testing.assert_array_equal(masks(stream[3:])[-1], whole[-1])    # five frames suffice
    with build_row('per_frame', PipelineOptions(model=str(model), device='cpu')) as pipeline:
        np.testing.assert_array_equal(pipeline.step(stream[0]).mask, whole[0])
    with build_row('grfp5', PipelineOptions(model=str(model), device='cpu')) as pipeline:
        pipeline.step(stream[1])
        pipeline.reset()
        np.testing.assert_array_equal(pipeline.step(stream[0]).mask, whole[0])


@pytest.mark.parametrize('name', ROWS)
def test_every_row_labels_a_stream(name: str, model: pathlib.Path) -> None:
    options = PipelineOptions(model=str(model), device='cpu', fixed_interval=3,
                              threshold=0.0)
    with build_row(name, options, slow_delay_s=0.1) as pipeline:
        results = [pipeline.step(frame) for frame in frames(7)]
    assert all(result.mask.shape == (64, 96) for result in results)
    keys = [result.status.key_frame for result in results]
    expected = {'clockwork': 3, 'deep_feature_flow': 3, 'fixed': 3}.get(name, 7)
    assert sum(keys) == expected


def test_missing_and_foreign_weights_are_named(model: pathlib.Path) -> None:
    path = rivals_path(model)
    options = PipelineOptions(model=str(model), device='cpu')
    path.rename(path.with_suffix('.away'))
    with pytest.raises(ModelFileError, match='m.rivals.safetensors: missing.*lvs train'):
        build_row('small_per_frame', options)
    path.write_bytes(model.read_bytes())
    with pytest.raises(ModelFileError, match='not a file of comparison weights'):
        build_row('grfp5', options)
    other = SegmentationNetwork(tiny('camvid', 5))
    rivals = Rivals(other)
    rivals.trained = {'recurrent'}
    save_rivals(rivals, other, path)
    with pytest.raises(ModelFileError, match='has shape'):
        build_row('grfp5', options)
    other = SegmentationNetwork(tiny('camvid', 11))
    rivals = Rivals(other)
    rivals.trained = {'recurrent'}
    save_rivals(rivals, other, path)
    with pytest.raises(ModelFileError, match='made for another network'):
        build_row('grfp5', options)


def test_a_file_has_only_what_was_trained(model: pathlib.Path) -> None:
    network, path = load_network(model), rivals_path(model)
    rivals = Rivals(network)
    rivals.trained = {'recurrent'}
    save_rivals(rivals, network, path)
    assert rivals_in(path) == load_rivals(path, network).trained == {'recurrent'}
    options = PipelineOptions(model=str(model), device='cpu')
    build_row('grfp5', options).close()
    with pytest.raises(ModelFileError, match='no weights for the row small_per_frame; train'):
        build_row('small_per_frame', options)
    path.unlink()
    assert rivals_in(path) == set()
