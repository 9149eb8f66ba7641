# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a benchmark is made of: tracks by a hand clock, stages, S_h, operators, clips."""

import contextlib
import dataclasses
import pathlib
from typing import Sequence

import cv2
import numpy as np
import pytest
import torch
from hand_clock import STATUS, HandClock

from lvs_ros.benchmark.clip import Clip, recorded_clip, street_clip
from lvs_ros.benchmark.durations import Durations
from lvs_ros.benchmark.errors import BenchmarkError
from lvs_ros.benchmark.operators import measure_operator, unfold_einsum
from lvs_ros.benchmark.random_model import random_model
from lvs_ros.benchmark.slow import RepeatedHigh, count_steps, rounds_without_pause
from lvs_ros.benchmark.stages import (STAGES, FastTrackParts, StageMeter, Threads, ros_messages,
                                      step_ms)
from lvs_ros.benchmark.tracks import Conditions, TrackMeter
from lvs_ros.model import VARIANTS, SegmentationNetwork, load_network, save_network
from lvs_ros.model.steps import advance
from lvs_ros.ops.spatially_variant_convolution import spatially_variant_convolution
from lvs_ros.pipeline import Frame, PipelineOptions, StepResult, build_pipeline
from lvs_ros.pipeline.build import prepare

BLANK = np.zeros((2, 2, 3), np.uint8)
CPU = torch.device('cpu')


class Worker:
    """Takes a given time for each frame; every frame is a key frame at threshold 0.

    :param slow_ms: what it tells of S_h at each frame
    """

    def __init__(self, clock: HandClock, takes_ms: Sequence[float],
                 slow_ms: Sequence[float | None] | None = None) -> None:
        self.threshold, self.max_key_age_frames = 0.5, 7
        self.clock, self.takes_ms = clock, takes_ms
        self.slow_ms = slow_ms or [None] * len(takes_ms)
        self.number = 0

    def reset(self) -> None:
        self.number = 0

    def step(self, frame: Frame) -> StepResult:
        number, self.number = self.number, self.number + 1
        self.clock.time_s += self.takes_ms[number] / 1e3
        status = dataclasses.replace(
            STATUS, key_frame=number == 0 or self.threshold == 0.0,
            slow_track_ms=self.slow_ms[number], stage_ms={'low': self.takes_ms[number] / 2})
        return StepResult(mask=BLANK[..., 0], confidence=None, status=status)


def meter_of(conditions: Conditions, takes_ms: Sequence[float],
             slow_ms: Sequence[float | None] | None = None) -> TrackMeter:
    clock = HandClock()
    worker = Worker(clock, takes_ms, slow_ms)
    return TrackMeter(lambda: contextlib.nullcontext(worker), conditions, clock=clock,
                      clip=Clip('blank', (BLANK, BLANK)))


def test_a_track_leaves_out_the_first_frame_of_each_part() -> None:
    meter = meter_of(Conditions(), [500, 10, 30, 20])
    told: list[int] = []
    for _ in range(2):
        meter.measure(3, lambda: told.append(1))
    track = meter.track()
    assert track.step_ms.count == len(told) == 6
    assert (track.step_ms.p50, track.step_ms.worst) == (pytest.approx(20), pytest.approx(30))
    assert track.stages_ms == {'low': 10}
    assert track.latency_ms is None and track.kept_up is None


def test_frames_that_come_at_a_rate_wait_for_each_other() -> None:
    # At 10 Hz, from the first mask on. The second frame takes from 100 to 350, so the third, of
    # 200, waits until 350; the fourth comes at 300, while the third still waits: it would be lost.
    meter = meter_of(Conditions(rate_hz=10.0), [500, 250, 30, 40])
    meter.measure(3, lambda: None)
    track = meter.track()
    assert track.latency_ms is not None
    assert track.latency_ms.worst == pytest.approx(250)
    assert track.latency_ms.p50 == pytest.approx(180)     # the third's: 150 waiting, 30 computing
    assert track.step_ms.worst == pytest.approx(250)
    assert track.kept_up is False


def test_frames_that_come_at_a_rate_may_wait_for_the_next() -> None:
    meter = meter_of(Conditions(rate_hz=10.0), [500, 150, 30, 40])
    meter.measure(3, lambda: None)
    assert meter.track().kept_up is True


CONTENDED = Conditions(rate_hz=10.0, threshold=0.0)


def test_durations_of_the_slow_track_are_told_once_each() -> None:
    meter = meter_of(CONTENDED, [500, 10, 10, 10, 10, 10, 10],
                     [400, 400, 400, 210, 210, 230, 230])
    meter.measure(5, lambda: None)
    track = meter.track()
    assert track.slow_ms == (210, 230)     # 400 is the first frame's own
    assert track.step_ms.count == 5        # the first was in full, the second started S_h
    assert track.key_frames == 5
    assert not track.slow_paused


def test_the_slow_track_paused_where_it_was_done_before_the_next_frame() -> None:
    meter = meter_of(CONTENDED, [500, 10, 10, 10, 10, 10], [400, 400, 400, 90, 90, 210])
    meter.measure(4, lambda: None)
    assert meter.track().slow_paused


def test_a_slow_track_that_finished_nothing_ran_all_the_time() -> None:
    meter = meter_of(CONTENDED, [500, 10, 10, 10, 10], [400] * 5)
    meter.measure(3, lambda: None)
    track = meter.track()
    assert track.slow_ms == () and not track.slow_paused


def test_a_slow_track_that_fails_is_an_error() -> None:
    class Failing(Worker):
        def step(self, frame: Frame) -> StepResult:
            result = super().step(frame)
            return dataclasses.replace(result, status=dataclasses.replace(
                result.status, slow_track_error='RuntimeError: too large'))

    clock = HandClock()
    meter = TrackMeter(lambda: contextlib.nullcontext(Failing(clock, [10] * 4)), CONTENDED,
                       clock=clock, clip=Clip('blank', (BLANK, BLANK)))
    with pytest.raises(BenchmarkError, match='S_h failed: RuntimeError: too large'):
        meter.measure(2, lambda: None)


def test_durations() -> None:
    durations = Durations.of([5.0, 1.0, 3.0])
    assert (durations.p50, durations.worst, durations.count) == (3.0, 5.0, 3)
    with pytest.raises(ValueError):
        Durations.of([])


@pytest.fixture(scope='module', params=['tiny', 'lite'])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
          ) -> pathlib.Path:
    """Return a model of random weights whose every part has a say in the labels."""
    torch.manual_seed(3)
    network = SegmentationNetwork(VARIANTS[request.param]('camvid', 11))
    torch.nn.init.normal_(network.adapt_net.correction.weight)
    torch.nn.init.normal_(network.classifier.weight)
    path = tmp_path_factory.mktemp('model') / f'{request.param}.safetensors'
    save_network(network, path)
    return path


@pytest.fixture(scope='module')
def clip() -> Clip:
    return street_clip((128, 96), rate_hz=5.0, length=5)


def test_the_stages_come_to_the_masks_of_the_pipeline(model: pathlib.Path, clip: Clip) -> None:
    frames = clip.frames(5, rate_hz=5.0)
    with build_pipeline(PipelineOptions(
            model=str(model), device='cpu', threshold=1.0, mirror=False,    # of the key frame
            slow_track='inline')) as pipeline:
        expected = [pipeline.step(frame).mask for frame in frames]
    parts = FastTrackParts(
        prepare(load_network(str(model)), device=CPU, precision='auto'), frames[0],
        messages=ros_messages()[0])
    for frame, mask in zip(frames[1:], expected[1:]):
        assert len(np.unique(mask)) > 1
        np.testing.assert_array_equal(parts.run(frame)[0], mask)


class FakeStopwatch:
    """Every lap takes twice as long as the one before; every other is three times as fast."""

    made: list['FakeStopwatch'] = []

    def __init__(self, device: torch.device) -> None:
        self.laps: dict[str, float] = {}
        self.scale = 1.0 if len(self.made) % 2 else 3.0
        self.made.append(self)

    def lap(self, stage: str) -> None:
        assert stage not in self.laps
        self.laps[stage] = self.scale * 2.0 ** len(self.laps)

    def stage_ms(self) -> dict[str, float]:
        return self.laps


def test_no_lap_is_lost(model: pathlib.Path, clip: Clip) -> None:
    messages, _ = ros_messages()
    parts = FastTrackParts(
        prepare(load_network(str(model)), device=CPU, precision='auto'),
        clip.frames(1, rate_hz=None)[0], messages=messages, stopwatch=FakeStopwatch)
    _, stages_ms = parts.run(clip.frames(2, rate_hz=None)[1])
    laps = FakeStopwatch.made[-1].laps
    assert sum(stages_ms.values()) == sum(laps.values())
    assert list(stages_ms) == [stage for stage in STAGES if stage in stages_ms]
    assert stages_ms['kernels'] == laps['embedding'] + laps['kernels']
    assert ('flow' in stages_ms) == (model.stem == 'lite')
    assert step_ms(stages_ms) == sum(laps.values()) - laps.get('decode', 0) - laps.get(
        'message', 0)


def test_a_stage_is_told_by_its_median(model: pathlib.Path, clip: Clip) -> None:
    parts = FastTrackParts(
        prepare(load_network(str(model)), device=CPU, precision='auto'),
        clip.frames(1, rate_hz=None)[0], stopwatch=FakeStopwatch)
    meter = StageMeter(parts, clip, threads=Threads(torch=1, opencv=1))
    told: list[int] = []
    meter.measure(2, lambda: told.append(1))
    assert len(told) == 2
    assert meter.stages_ms()['input'] == 2.0       # of 1 and 3


def test_repeated_s_h_comes_to_the_same_in_more_steps() -> None:
    torch.manual_seed(4)
    network = prepare(SegmentationNetwork(VARIANTS['tiny']('camvid', 11)), device=CPU,
                      precision='float32')
    with torch.inference_mode():
        low = network.low(torch.rand(1, 3, 64, 96) * 255)
        once = network.high(low)
        repeated = RepeatedHigh(network, 3)
        steps = repeated.high_steps(low)
        results: list[torch.Tensor | None] = []
        while not results or results[-1] is None:
            results.append(advance(steps))
        torch.testing.assert_close(results[-1], once, rtol=0, atol=0)
    assert len(results) == 3 * count_steps(network, low)
    assert sum(1 for _ in repeated.parameters()) == sum(1 for _ in network.parameters())


@pytest.mark.parametrize('slow_ms, interval_ms', [(300.0, 66.7), (70.0, 66.7), (5.0, 66.7),
                                                  (66.7, 66.7)])
def test_repeated_often_enough_s_h_outlasts_the_wait_for_a_frame(
        slow_ms: float, interval_ms: float) -> None:
    rounds = rounds_without_pause(slow_ms, interval_ms)
    assert rounds * slow_ms >= 1.4 * interval_ms
    assert rounds == 1 or (rounds - 1) * slow_ms < 1.6 * interval_ms


@pytest.mark.parametrize('side', [1, 3, 9])
def test_unfold_and_einsum_is_the_same_operator(side: int) -> None:
    torch.manual_seed(5)
    features = torch.randn(2, 8, 7, 10)
    kernels = torch.randn(2, side * side, 7, 10)
    torch.testing.assert_close(unfold_einsum(features, kernels),
                               spatially_variant_convolution(features, kernels),
                               rtol=1e-4, atol=1e-4)


def test_the_bound_counts_every_byte_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('lvs_ros.benchmark.operators._BUDGET_S', 0.01)
    times = measure_operator((16, 5, 7, 3), device=CPU, dtype=torch.float32, bandwidth=1e6)
    # features in, result out, kernels in: (16 + 16 + 9) numbers of 4 bytes a position
    assert times.bytes == 41 * 4 * 5 * 7
    assert times.bound_ms == pytest.approx(5.74)
    assert times.largest_difference is not None and times.largest_difference < 1e-5


def test_the_usual_way_is_left_out_where_memory_is_short(monkeypatch: pytest.MonkeyPatch
                                                         ) -> None:
    monkeypatch.setattr('lvs_ros.benchmark.operators._BUDGET_S', 0.01)
    monkeypatch.setattr('lvs_ros.benchmark.operators._free_bytes', lambda device: 1000)
    times = measure_operator((16, 5, 7, 3), device=CPU, dtype=torch.float32, bandwidth=1e6)
    assert times.unfold_einsum_ms is None and times.speed_up is None


def test_a_clip_goes_to_and_fro() -> None:
    images = tuple(np.full((2, 2, 3), number, np.uint8) for number in range(4))
    frames = Clip('numbers', images).frames(9, rate_hz=10.0)
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert [frame.stamp_ns for frame in frames[:3]] == [0, 100_000_000, 200_000_000]


def test_a_clip_of_a_folder_is_scaled(tmp_path: pathlib.Path) -> None:
    for number in range(3):
        cv2.imwrite(str(tmp_path / f'{number}.png'), np.full((40, 60, 3), number, np.uint8))
    clip = recorded_clip(tmp_path, size=(30, 20), length=2)
    assert clip.size == (30, 20) and len(clip.images) == 2
    assert recorded_clip(tmp_path, size=None).size == (60, 40)


def test_a_single_image_is_no_drive(tmp_path: pathlib.Path) -> None:
    cv2.imwrite(str(tmp_path / '0.png'), BLANK)
    with pytest.raises(BenchmarkError, match='expected at least 2'):
        recorded_clip(tmp_path, size=None)


def test_a_random_model_is_deleted_in_the_end() -> None:
    with random_model('tiny') as path:
        assert load_network(path).config.backbone == 'resnet18'
    assert not pathlib.Path(path).parent.exists()
