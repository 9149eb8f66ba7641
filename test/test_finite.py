# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is not finite: refused when a model is loaded, found on every frame, never labelled."""

import pathlib
from typing import Any, Callable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from label_maps import label_map

from lvs_ros.errors import ModelFileError, NotFiniteError
from lvs_ros.evaluation.rows import build_row
from lvs_ros.model import VARIANTS, SegmentationNetwork, save_network
from lvs_ros.model.finite import extremes
from lvs_ros.model.rivals import GatedRecurrentUnit
from lvs_ros.options import PipelineOptions, SCHEDULES
from lvs_ros.pipeline.build import assemble, build_pipeline
from lvs_ros.pipeline.execution import SimulatedExecutor
from lvs_ros.pipeline.frame import Frame
from lvs_ros.pipeline.pipeline import SegmentationPipeline
from lvs_ros.pipeline.propagation import SpatiallyVariantPropagation
from lvs_ros.pipeline.smoothing import GatedRecurrentSmoothing
from lvs_ros.pipeline.threads import intra_op_threads
from lvs_ros.training.data_options import DataOptions
from lvs_ros.training.start import starting_network

FRAME_NS = 66_666_667
VALUES = {'NaN': float('nan'), 'inf': float('inf'), '-inf': -float('inf')}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks are quicker so, the more the fewer cores are free."""
    with intra_op_threads(1):
        yield


def new_network() -> SegmentationNetwork:
    torch.manual_seed(0)
    return SegmentationNetwork(VARIANTS['tiny']('camvid', 11)).eval()


def frame(index: int) -> Frame:
    image = np.random.default_rng(index).integers(0, 256, (32, 48, 3), np.uint8)
    return Frame(image, index * FRAME_NS)


def times(factor: float, *names: str) -> Callable[[SegmentationNetwork], None]:
    """Return what multiplies parameters or buffers of a network."""
    def damage(network: SegmentationNetwork) -> None:
        with torch.no_grad():
            for name in names:
                network.state_dict()[name].mul_(factor)
    return damage


DAMAGES = {
    'negative variance in S_l': (times(-1, 'backbone.layer1.0.bn1.running_var'), 'S_l'),
    'negative variance in S_h': (times(-1, 'backbone.layer4.1.bn2.running_var'), 'S_h'),
    'weights of S_h overflow': (
        times(1e30, 'backbone.layer4.1.conv1.weight', 'backbone.layer4.1.conv2.weight'),
        'S_h'),
    'weights of the classifier overflow': (times(1e39, 'classifier.weight'), 'classifier'),
    'negative variance in AdaptNet': (
        times(-1, 'adapt_net.convolutions.1.running_var'), 'AdaptNet'),
    'kernels': (times(-1, 'kernel_predictor.embedding.1.running_var'), 'kernels'),
    'deviation': (times(-1, 'deviation_net.convolutions.1.running_var'), 'deviation'),
    # 1 / (1 + exp(-inf)) would be a deviation like others
    'deviation overflows': (times(1e38, 'deviation_net.linear.weight'), 'deviation'),
}


def refuses(use: Callable[[], Any], path: pathlib.Path, part: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        use()
    text = str(caught.value)
    assert str(path) in text and part in text and 'not finite' in text and '\n' not in text


@pytest.mark.parametrize('case', DAMAGES)
def test_a_model_whose_output_is_not_finite_is_refused(case: str, tmp_path: pathlib.Path) -> None:
    damage, part = DAMAGES[case]
    network = new_network()
    with torch.no_grad():
        network.deviation_net.linear.weight.mul_(1e3)
    damage(network)
    path = tmp_path / 'damaged.safetensors'
    save_network(network, path, half=False)
    refuses(lambda: build_pipeline(PipelineOptions(model=str(path))), path, part)


def test_whoever_uses_a_model_refuses_it(tmp_path: pathlib.Path) -> None:
    network, path = new_network(), tmp_path / 'damaged.safetensors'
    damage, part = DAMAGES['negative variance in S_l']
    damage(network)
    save_network(network, path)
    options = PipelineOptions(model=str(path))
    for use in (lambda: build_pipeline(options), lambda: build_row('per_frame', options),
                lambda: starting_network(DataOptions(street_clips=1), init=str(path),
                                         variant=None)):
        refuses(use, path, part)


def test_what_overflows_in_the_chosen_precision_only_is_refused_there(
        tmp_path: pathlib.Path) -> None:
    network = new_network()
    times(1e7, 'classifier.weight')(network)
    path = tmp_path / 'large.safetensors'
    save_network(network, path, half=False)
    build_pipeline(PipelineOptions(model=str(path), precision='float32')).close()
    refuses(lambda: build_pipeline(PipelineOptions(model=str(path), precision='float16')), path,
            'classifier')


class Poison:
    """Puts a value into one place of what a function returns, while it is switched on."""

    def __init__(self, value: float) -> None:
        self.on, self._value = False, value

    def into(self, tensor: torch.Tensor) -> torch.Tensor:
        if not self.on:
            return tensor
        tensor = tensor.clone(memory_format=torch.contiguous_format)
        tensor.view(-1)[tensor.numel() // 2] = self._value
        return tensor

    def after(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Put it into what a function returns; of several things, into the first."""
        def poisoned(*inputs: Any) -> Any:
            result = function(*inputs)
            if isinstance(result, tuple):
                return self.into(result[0]), *result[1:]
            return self.into(result)
        return poisoned


def make(schedule: str, network: SegmentationNetwork, threshold: float = 0.0,
         flip_averaging: bool = False, **parts: Any) -> SegmentationPipeline:
    options = PipelineOptions(schedule=schedule, threshold=threshold, fixed_interval=2,
                              flip_averaging=flip_averaging)
    return assemble(
        network, options, propagation=SpatiallyVariantPropagation(network),
        executor=SimulatedExecutor(1.5 * FRAME_NS / 1e9, threads=1), **parts)


@pytest.mark.parametrize('schedule', SCHEDULES)
@pytest.mark.parametrize('part, value', [
    ('low_and_detail', 'NaN'), ('low_and_detail', 'inf'), ('classify', 'NaN'),
    ('classify', 'inf'), ('classify', '-inf')])
def test_a_frame_that_is_not_finite_has_no_mask_and_leaves_nothing(
        schedule: str, part: str, value: str) -> None:
    network = new_network()
    poison = Poison(VALUES[value])
    setattr(network, part, poison.after(getattr(network, part)))
    pipeline = make(schedule, network)
    for index in range(4):
        pipeline.step(frame(index))
    poison.on = True
    for index in (4, 5):
        with pytest.raises(NotFiniteError, match='not finite'):
            pipeline.step(frame(index))
    poison.on = False
    result = pipeline.step(frame(6))
    assert result.status.key_frame and not result.status.key_provisional
    assert (result.mask == make(schedule, network).step(frame(6)).mask).all(), 'as if it began'
    for index in range(7, 12):    # nor does a job of before come in
        pipeline.step(frame(index))


@pytest.mark.parametrize('schedule', ['low_latency', 'adaptive'])
@pytest.mark.parametrize('value', VALUES)
def test_a_deviation_that_is_not_finite_is_no_deviation(schedule: str, value: str) -> None:
    network = new_network()
    pipeline = make(schedule, network, threshold=0.5)
    pipeline.step(frame(0))
    poison = Poison(VALUES[value])
    setattr(network.deviation_net, 'logit', poison.after(network.deviation_net.logit))
    poison.on = True
    with pytest.raises(NotFiniteError, match='deviation is not finite'):
        pipeline.step(frame(1))
    poison.on = False
    assert pipeline.step(frame(2)).status.reset_reason == 'the deviation is not finite'


@pytest.mark.parametrize('schedule', SCHEDULES)
@pytest.mark.parametrize('value', VALUES)
def test_a_result_of_s_h_that_is_not_finite_is_a_failure(schedule: str, value: str) -> None:
    network = new_network()
    poison = Poison(VALUES[value])
    setattr(network, 'high', poison.after(network.high))
    pipeline = make(schedule, network)
    pipeline.step(frame(0))
    poison.on = True
    statuses = [pipeline.step(frame(index)).status for index in range(1, 9)]
    assert statuses[-1].slow_track_failures > 0
    assert statuses[-1].slow_track_error == 'F_h is not finite'
    poison.on = False
    statuses = [pipeline.step(frame(index)).status for index in range(9, 40)]
    assert statuses[-1].slow_track_error is None


@pytest.mark.parametrize('schedule', ['every_frame', 'adaptive'])
def test_what_cannot_be_refined_is_labelled_as_it_was(schedule: str) -> None:
    network = new_network()
    expected = make(schedule, network).step(frame(0)).mask
    poison = Poison(float('nan'))
    setattr(network, 'refine', poison.after(network.refine))
    poison.on = True
    result = make(schedule, network, flip_averaging=True).step(frame(0))
    assert (result.mask == expected).all()
    assert result.status.slow_track_error == (
        'during flip averaging: F_h is not finite')


def test_a_first_frame_that_is_not_finite_is_told() -> None:
    network = new_network()
    poison = Poison(float('nan'))
    setattr(network, 'high', poison.after(network.high))
    poison.on = True
    pipeline = make('low_latency', network)
    for index in range(2):
        with pytest.raises(NotFiniteError, match='F_h is not finite'):
            pipeline.step(frame(index))
    poison.on = False
    assert pipeline.step(frame(2)).status.key_frame


@settings(max_examples=40, deadline=None)
@given(data=st.data(), value=st.sampled_from(sorted(VALUES)), channels_last=st.booleans())
def test_one_value_anywhere_is_enough(data: Any, value: str, channels_last: bool) -> None:
    shape = data.draw(st.tuples(st.just(1), st.integers(1, 40), st.integers(1, 33),
                                st.integers(1, 33)))
    logits = torch.randn(shape)
    if channels_last:
        logits = logits.contiguous(memory_format=torch.channels_last)
    assert extremes(logits).isfinite().all()
    logits[tuple(data.draw(st.integers(0, size - 1)) for size in shape)] = VALUES[value]
    assert not extremes(logits).isfinite().all()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32])
def test_the_largest_numbers_are_finite(dtype: torch.dtype) -> None:
    largest = torch.finfo(dtype).max
    logits = torch.full((1, 19, 90, 120), -largest, dtype=dtype)
    logits[:, 7] = largest    # all of them together are not finite any more
    assert extremes(logits).isfinite().all()
    mask, _ = label_map(logits, size=(90, 120), content=(720, 960), align_corners=False,
                        want_confidence=False)
    assert (mask == 7).all()


@pytest.mark.parametrize('value', VALUES)
def test_smoothing_hides_nothing(value: str) -> None:
    network, poison = new_network(), Poison(VALUES[value])
    setattr(network, 'classify', poison.after(network.classify))
    pipeline = make('every_frame', network, smoothing=GatedRecurrentSmoothing(
        GatedRecurrentUnit(11).requires_grad_(False)))
    pipeline.step(frame(0))
    poison.on = True
    with pytest.raises(NotFiniteError):
        pipeline.step(frame(1))
    poison.on = False
    for index in (2, 3):
        pipeline.step(frame(index))
