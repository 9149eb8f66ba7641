# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Properties of the schedules, on the real pipeline step with a tiny network."""

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lvs_ros.errors import ConfigurationError
from lvs_ros.model import VARIANTS, SegmentationNetwork
from lvs_ros.options import PipelineOptions, SCHEDULES
from lvs_ros.pipeline.build import assemble
from lvs_ros.pipeline.execution import SimulatedExecutor
from lvs_ros.pipeline.frame import Frame, StepStatus
from lvs_ros.pipeline.pipeline import SegmentationPipeline
from lvs_ros.pipeline.propagation import SpatiallyVariantPropagation

FRAME_NS = 66_666_667
torch.manual_seed(0)
NETWORK = SegmentationNetwork(VARIANTS['tiny']('camvid', 11)).eval()


def make_pipeline(schedule: str, *, threshold: float = 0.5, interval: int = 5, max_age: int = 0,
                  delay_frames: int = 3, deviations: list[float] | None = None
                  ) -> SegmentationPipeline:
    network = copy.copy(NETWORK)
    if deviations is not None:
        script = iter(deviations)
        setattr(network, 'deviation', lambda key_low, low: torch.tensor([next(script)]))
    return assemble(
        network, PipelineOptions(
            schedule=schedule, threshold=threshold, fixed_interval=interval,
            max_key_age_frames=max_age, flip_averaging=False),
        propagation=SpatiallyVariantPropagation(network),
        executor=SimulatedExecutor(delay_frames * FRAME_NS / 1e9))


def frames(count: int) -> list[Frame]:
    random = np.random.default_rng(count)
    return [Frame(random.integers(0, 256, (32, 48, 3), np.uint8), index * FRAME_NS)
            for index in range(count)]


def run(pipeline: SegmentationPipeline, count: int) -> list[StepStatus]:
    return [pipeline.step(frame).status for frame in frames(count)]


deviation_lists = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=15)


@settings(max_examples=30, deadline=None)
@given(schedule=st.sampled_from(SCHEDULES), deviations=deviation_lists,
       threshold=st.floats(0, 1), delay_frames=st.integers(0, 6))
def test_one_mask_a_frame_and_the_key_frame_never_goes_back(
        schedule: str, deviations: list[float], threshold: float, delay_frames: int) -> None:
    pipeline = make_pipeline(schedule, threshold=threshold, delay_frames=delay_frames,
                             deviations=deviations)
    key_stamps = []
    for index, frame in enumerate(frames(len(deviations) + 1)):
        result = pipeline.step(frame)
        assert result.mask.shape == (32, 48) and result.mask.dtype == np.uint8
        assert result.mask.max() < 11
        status = result.status
        assert status.key_stamp_ns == frame.stamp_ns - status.key_age_frames * FRAME_NS
        assert status.key_frame == (status.key_age_frames == 0)
        key_stamps.append(status.key_stamp_ns)
        assert index > 0 or status.key_frame
    assert key_stamps == sorted(key_stamps)


@settings(max_examples=30, deadline=None)
@given(schedule=st.sampled_from(['adaptive', 'low_latency']), deviations=deviation_lists,
       threshold=st.floats(0, 1, width=32))
def test_key_frames_are_those_above_the_threshold(
        schedule: str, deviations: list[float], threshold: float) -> None:
    pipeline = make_pipeline(schedule, threshold=threshold, deviations=deviations)
    keys = [status.key_frame for status in run(pipeline, len(deviations) + 1)]
    assert keys == [True] + [value > threshold or threshold == 0 for value in deviations]


@pytest.mark.parametrize('schedule', ['adaptive', 'low_latency'])
def test_threshold_0_makes_every_frame_a_key_frame(schedule: str) -> None:
    pipeline = make_pipeline(schedule, threshold=0.0, deviations=[0.0, 0.5, 1.0, 0.0])
    assert all(status.key_frame for status in run(pipeline, 5))


@pytest.mark.parametrize('schedule', ['adaptive', 'low_latency'])
def test_threshold_1_keeps_only_the_first(schedule: str) -> None:
    pipeline = make_pipeline(schedule, threshold=1.0, deviations=[1.0] * 9)
    assert [status.key_frame for status in run(pipeline, 10)] == [True] + [False] * 9


@settings(max_examples=10, deadline=None)
@given(interval=st.integers(1, 7))
def test_fixed_schedule(interval: int) -> None:
    keys = [s.key_frame for s in run(make_pipeline('fixed', interval=interval), 15)]
    assert keys == [index % interval == 0 for index in range(15)]


def test_every_frame_equals_the_per_frame_network() -> None:
    pipeline = make_pipeline('every_frame')
    for frame in frames(3):
        image = torch.from_numpy(frame.image).permute(2, 0, 1)[None].float()
        with torch.no_grad():
            expected = NETWORK(image).argmax(1)[0].numpy()
        result = pipeline.step(frame)
        assert result.status.key_frame and not result.status.key_provisional
        assert (result.mask == expected).mean() > 0.999    # ties of rounding aside


def test_max_key_age_forces_a_key_frame() -> None:
    pipeline = make_pipeline('low_latency', threshold=1.0, max_age=4, deviations=[0.0] * 20)
    keys = [index for index, s in enumerate(run(pipeline, 12)) if s.key_frame]
    assert keys == [0, 4, 8]


def test_key_features_are_provisional_until_s_h_is_done() -> None:
    # frame 2 becomes a key frame; S_h takes 3 frames: its result is there on frame 5
    pipeline = make_pipeline('low_latency', threshold=0.5, delay_frames=3,
                             deviations=[0, 1, 0, 0, 0, 0])
    statuses = run(pipeline, 7)
    assert [s.key_frame for s in statuses] == [True, False, True, False, False, False, False]
    assert [s.key_provisional for s in statuses] == [False, False, True, True, True, False, False]
    assert [s.slow_track_busy for s in statuses] == [False, False, True, True, True, False, False]


def test_threshold_takes_effect_on_the_next_frame() -> None:
    pipeline = make_pipeline('adaptive', threshold=0.9, deviations=[0.5] * 5)
    first, second, third, fourth = frames(4)
    assert pipeline.step(first).status.key_frame
    assert not pipeline.step(second).status.key_frame
    pipeline.change(threshold=0.2)
    status = pipeline.step(third).status
    assert status.key_frame and status.threshold == 0.2
    pipeline.change(threshold=0.9)
    assert not pipeline.step(fourth).status.key_frame


@pytest.mark.parametrize('value', [1.5, -1, -1e-9, math.nan, math.inf, 'abc', None, True])
def test_threshold_out_of_range_is_refused_and_the_old_one_stays(value: Any) -> None:
    pipeline = make_pipeline('adaptive', threshold=0.25)
    with pytest.raises(ConfigurationError, match='^threshold: (expected|.* is not between)'):
        pipeline.change(threshold=value)
    assert pipeline.options.threshold == 0.25


def test_unknown_schedule_is_refused() -> None:
    pipeline = make_pipeline('adaptive')
    with pytest.raises(ConfigurationError, match="'sometimes' is none of low_latency, adaptive"):
        pipeline.change(schedule='sometimes')
    assert pipeline.options.schedule == 'adaptive'
