# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Captured graphs compute what the same calls do one by one, whatever runs between them."""

import copy
import dataclasses
from typing import Any, Optional

import numpy as np
import pytest
import torch
from graph_recorder import CallRecorder
from torch import nn

from lvs_ros.backends.eager import prepare
from lvs_ros.backends.graphs.capture import capture
from lvs_ros.backends.graphs.pieces import capture_in_pieces, cuts_between
from lvs_ros.backends.graphs.stages import GraphStages
from lvs_ros.backends.network_stages import NetworkStages
from lvs_ros.checkpoints import checkpoint, checkpoints, is_interruptible
from lvs_ros.model import VARIANTS, SegmentationNetwork
from lvs_ros.model.detail_head import DetailHead
from lvs_ros.options import PipelineOptions, SCHEDULES
from lvs_ros.pipeline.build import assemble
from lvs_ros.pipeline.execution import Executor, SimulatedExecutor, TimeSlicedExecutor
from lvs_ros.pipeline.frame import Frame
from lvs_ros.pipeline.pipeline import SegmentationPipeline
from lvs_ros.pipeline.propagation import SpatiallyVariantPropagation

FRAME_NS = 100_000_000
SIZES = [(80, 48), (71, 45)]    # one that features fit exactly, and one that is padded


def network(alignment: str = 'flow', head: str = 'psp', detail_channels: int = 8
            ) -> SegmentationNetwork:
    torch.manual_seed(3)
    made = SegmentationNetwork(dataclasses.replace(
        VARIANTS['tiny']('camvid', 11), alignment=alignment, head=head,
        detail_channels=detail_channels))
    if isinstance(made.detail_head, DetailHead):
        nn.init.normal_(made.detail_head.correction.weight)    # zero at first
    nn.init.normal_(made.adapt_net.correction.weight, std=0.1)    # zero at first
    nn.init.normal_(made.classifier.weight)    # so that there are many labels
    prepare(made, torch.device('cpu'), torch.float32)
    return made


def pipeline(network: SegmentationNetwork, recorder: Optional[CallRecorder],
             executor: Optional[Executor] = None, **options: Any) -> SegmentationPipeline:
    """Make one with graphs; without a recorder, one that calls everything itself."""
    propagation = SpatiallyVariantPropagation(network)
    stages = NetworkStages(network, propagation) if recorder is None else GraphStages(
        network, propagation, recorder)
    return assemble(network, PipelineOptions(**options), propagation=propagation, stages=stages,
                    executor=executor or SimulatedExecutor(1.5 * FRAME_NS / 1e9, threads=1))


def frame(number: int, size: tuple[int, int] = SIZES[0]) -> Frame:
    """A picture of blocks that moves to the left."""
    blocks = np.random.default_rng(0).integers(0, 256, (8, 32, 3), dtype=np.uint8)
    image = np.kron(blocks, np.ones((8, 8, 1), np.uint8))
    return Frame(image[:size[1], 2 * number:2 * number + size[0]], number * FRAME_NS)


@pytest.mark.parametrize('flip_averaging, alignment, detail_channels', [
    (False, 'flow', 8), (True, 'none', 0)])
@pytest.mark.parametrize('schedule', SCHEDULES)
def test_the_masks_are_those_without_graphs(
        schedule: str, flip_averaging: bool, alignment: str, detail_channels: int) -> None:
    options: dict[str, Any] = dict(schedule=schedule, flip_averaging=flip_averaging, threshold=0.4,
                                   max_key_age_frames=3, fixed_interval=3)
    recorder, made = CallRecorder(), network(alignment, detail_channels=detail_channels)
    with pipeline(made, recorder, **options) as captured, \
            pipeline(made, None, **options) as plain:
        for number in range(15):
            size, confidence = SIZES[number // 5 % 2], number % 4 == 0
            one, other = (each.step(frame(number, size), want_confidence=confidence)
                          for each in (captured, plain))
            assert np.array_equal(one.mask, other.mask)
            assert (one.confidence is not None) == confidence
            if one.confidence is not None:    # exp differs in its last bit with the address
                assert other.confidence is not None
                assert np.abs(one.confidence.astype(int) - other.confidence).max() <= 1
            assert one.status.deviation == other.status.deviation
            assert one.status.key_frame == other.status.key_frame
        assert len(np.unique(other.mask)) > 1
        assert recorder.captured and captured.fallbacks == []


def test_frames_go_on_while_graphs_are_captured_and_pieces_replayed() -> None:
    recorder, made = CallRecorder(), network()
    options: dict[str, Any] = dict(threshold=0.0, flip_averaging=True)
    with pipeline(made, recorder, TimeSlicedExecutor(threads=1), **options) as captured, \
            pipeline(made, None, SimulatedExecutor(0.0, threads=1), **options) as plain:
        for number in range(30):
            one = captured.step(frame(number % 4, SIZES[number // 10 % 2]))
            if not number % 10:    # the first of a size is computed in full
                other = plain.step(frame(number % 4, SIZES[number // 10 % 2]))
                assert np.array_equal(one.mask, other.mask)
        captured.executor.wait(20)
        assert recorder.captured > 10 and captured.fallbacks == []


def test_after_the_warm_up_everything_is_captured() -> None:
    recorder = CallRecorder()
    with pipeline(network(), recorder, TimeSlicedExecutor(threads=1), threshold=0.0) as warm:
        warm.warm_up(*SIZES[0])
        captured = recorder.captured
        for number in range(6):
            warm.step(frame(number))
            warm.executor.wait(20)
        assert recorder.captured == captured > 0


def stages(recorder: CallRecorder) -> tuple[GraphStages, NetworkStages]:
    made = network()
    propagation = SpatiallyVariantPropagation(made)
    return GraphStages(made, propagation, recorder), NetworkStages(made, propagation)


def image(number: int) -> torch.Tensor:
    return torch.from_numpy(frame(number).image.copy()).permute(2, 0, 1)[None].contiguous(
        memory_format=torch.channels_last)


@torch.inference_mode()
def test_s_h_of_another_image_between_two_pieces() -> None:
    # A job is between two pieces when a schedule without background computes a frame in full.
    captured, plain = stages(CallRecorder())
    lows = [captured.keep(plain.low(image(number)).low) for number in range(3)]
    captured.high(lows[0])
    captured.capture()
    between: list[torch.Tensor] = []

    def compute_another() -> None:
        if not between:
            with checkpoints(None):
                between.append(captured.high(lows[2]))

    with checkpoints(compute_another):
        result = captured.high(lows[1])
    assert torch.equal(between[0], plain.high(lows[2]))
    assert torch.equal(result, plain.high(lows[1]))


@torch.inference_mode()
def test_what_is_kept_outlives_a_replay() -> None:
    captured, plain = stages(CallRecorder())
    captured.low(image(0))
    captured.capture()
    now = captured.low(image(1))
    kept, expected = captured.keep(now.low), plain.low(image(1)).low
    again = captured.low(image(2)).low
    assert torch.equal(kept, expected) and not torch.equal(again, expected)


class FailingRecorder(CallRecorder):
    """Cannot capture what takes longer than a few calls."""

    def end(self) -> Any:
        if len(self.mode.calls) > 5:  # type: ignore[union-attr]
            raise RuntimeError('CUDA error: operation not permitted\nand more of it')
        return super().end()


def test_where_nothing_can_be_captured_everything_is_called_and_the_reason_is_told() -> None:
    made = network()
    with pytest.warns(UserWarning, match='operation not permitted'), \
            pipeline(made, FailingRecorder()) as failing, pipeline(made, None) as plain:
        for number in range(4):
            assert np.array_equal(failing.step(frame(number)).mask,
                                  plain.step(frame(number)).mask)
        reason, = failing.fallbacks
        assert 'RuntimeError: CUDA error: operation not permitted' in reason
        assert 'and more' not in reason


def test_too_little_memory_for_s_h_is_a_failed_job_and_the_masks_go_on() -> None:
    class FullRecorder(CallRecorder):
        is_full = False

        def end(self) -> Any:
            graph = super().end()
            replay = graph.replay

            def fails_for_s_h() -> None:
                if self.is_full and is_interruptible():
                    raise torch.OutOfMemoryError('CUDA out of memory')
                replay()

            graph.replay = fails_for_s_h  # type: ignore[method-assign]
            return graph

    recorder = FullRecorder()
    with pipeline(network(), recorder, TimeSlicedExecutor(threads=1), threshold=0.0) as full:
        full.warm_up(*SIZES[0])
        for recorder.is_full in (False, True, True, False):
            status = full.step(frame(1)).status
            full.executor.wait(20)
            error = full.step(frame(2)).status.slow_track_error
            assert error is None or recorder.is_full and 'out of memory' in error
            full.executor.wait(20)
        assert status.slow_track_failures and full.fallbacks == []


def test_the_graphs_of_a_few_sizes_are_kept() -> None:
    recorder = CallRecorder()
    with pipeline(network('none'), recorder, schedule='every_frame', flip_averaging=False) as many:
        def captures(*widths: int) -> list[int]:
            found = []
            for width in widths:
                for number in range(3):
                    many.step(frame(number, (width, 48)))
                found.append(recorder.captured)
            return found

        first, second, third = captures(48, 56, 64)
        assert 0 < first < second < third
        assert captures(48, 56, 64) == [third] * 3
        assert captures(72)[0] > third    # and the oldest, 48, goes
        newest = recorder.captured
        assert captures(64, 56) == [newest] * 2 and captures(48)[0] > newest


@torch.inference_mode()
def test_asking_the_device_cannot_be_captured() -> None:
    recorder, x = CallRecorder(), torch.ones(3)
    with pytest.raises(RuntimeError, match='not permitted'):
        capture(recorder, recorder.new_pool(), lambda x: (x * float(x.sum()),), (x,))
    captured = capture(recorder, recorder.new_pool(), lambda x: (x * 2,), (x,))
    assert captured(torch.tensor([1.0, 2, 3]))[0].tolist() == [2, 4, 6]  # type: ignore[union-attr]


class Convolution(nn.Conv2d):
    """A convolution that does its work in pieces."""

    pieces = 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = []
        for weight in self.weight.chunk(self.pieces if is_interruptible() else 1):
            checkpoint()
            for _ in range(len(weight)):    # so that a pretended duration grows with the work
                x = x + 0
            parts.append(nn.functional.conv2d(x, weight))
        return torch.cat(parts, 1)


@torch.inference_mode()
def test_no_piece_takes_too_long() -> None:
    recorder = CallRecorder(call_ms=0.1)
    network = nn.Sequential(Convolution(2, 3, 1, bias=False), Convolution(3, 40, 1, bias=False),
                            Convolution(40, 2, 1, bias=False))
    expected = copy.deepcopy(network)    # which is not cut
    x, interruptions = torch.randn(1, 2, 4, 5), []
    with checkpoints(lambda: interruptions.append(1)):
        captured = capture_in_pieces(recorder, lambda x: (network(x),), (x.clone(),),
                                     list(network), longest_ms=1.0)
        while_capturing = len(interruptions)
        result, = captured(x)
    assert torch.allclose(result, expected(x), atol=1e-5)  # type: ignore[arg-type]
    durations_ms = [recorder.duration_ms(graph) for graph in captured.graphs]
    assert max(durations_ms) <= 1.3, '40 channels, of which no piece has more than ten'
    assert while_capturing >= len(durations_ms) - 1 == len(interruptions) - while_capturing


@pytest.mark.parametrize('durations_ms, expected', [
    ([], []), ([0.2], []), ([0.9], []), ([0.2, 0.2, 0.2], [1]), ([0.2, 0.9, 0.2], [0, 1]),
    ([0.25, 0.25, 0.25, 0.25, 0.5], [1, 3])])
def test_short_pieces_are_put_together(durations_ms: list[float], expected: list[int]) -> None:
    assert sorted(cuts_between(durations_ms, 0.5)) == expected


@torch.inference_mode()
@pytest.mark.parametrize('is_referred_to', [False, True])
def test_what_nobody_refers_to_may_be_overwritten(is_referred_to: bool) -> None:
    # This is the recorder: without it, the tests above would pass whatever was kept or not.
    recorder, x = CallRecorder(), torch.ones(2)
    storages: list[torch.UntypedStorage] = []
    referred: list[torch.Tensor] = []

    def function(x: torch.Tensor) -> tuple[torch.Tensor]:
        between = x + 1
        storages.append(between.untyped_storage())
        if is_referred_to:
            referred.append(between)
        return between * 2,

    pool = recorder.new_pool()
    first = capture(recorder, pool, function, (x,))
    second = capture(recorder, pool, lambda x: (x * 5,), (x,))
    assert first(x)[0].tolist() == [4, 4]    # type: ignore[union-attr]
    between = torch.empty(0).set_(storages[0])
    assert between.tolist() == [2, 2]
    second(x)
    assert (between.tolist() == [2, 2]) == is_referred_to
