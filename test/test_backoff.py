# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""When S_h is tried again after it has failed: in a still scene, too, and not all the time."""

from typing import Any, Callable, Iterator

import numpy as np
import pytest
import torch

from lvs_ros.model import VARIANTS, SegmentationNetwork
from lvs_ros.options import PipelineOptions, SCHEDULES
from lvs_ros.pipeline.build import assemble
from lvs_ros.pipeline.execution import SimulatedExecutor
from lvs_ros.pipeline.frame import Frame, StepStatus
from lvs_ros.pipeline.propagation import SpatiallyVariantPropagation
from lvs_ros.pipeline.threads import intra_op_threads

FRAME_NS = 66_666_667
SECOND_NS = 1_000_000_000
torch.manual_seed(0)
NETWORK = SegmentationNetwork(VARIANTS['tiny']('camvid', 11)).eval()
IMAGE = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks are quicker so, the more the fewer cores are free."""
    with intra_op_threads(1):
        yield


class FlakyHigh:
    """S_h, which fails when it is told to."""

    def __init__(self, high: Callable[..., torch.Tensor] = NETWORK.high) -> None:
        self.fails, self.calls_ns, self.now_ns = False, list[int](), 0
        self._high = high

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        self.calls_ns.append(self.now_ns)
        if self.fails:
            raise RuntimeError('out of memory')
        return self._high(*inputs)


class Scene:
    """Frames of a camera that stands still, through a pipeline.

    :param step_ns: from stamp to stamp
    """

    def __init__(self, schedule: str, *, step_ns: int = FRAME_NS, refines: bool = False,
                 threshold: float = 1.0) -> None:
        self.high, self.refine = FlakyHigh(), FlakyHigh(NETWORK.refine)
        network = SegmentationNetwork(NETWORK.config).eval()
        network.load_state_dict(NETWORK.state_dict())
        setattr(network, 'high', self.high)
        setattr(network, 'refine', self.refine)
        self.pipeline = assemble(
            network, PipelineOptions(schedule=schedule, threshold=threshold,
                                     flip_averaging=refines),
            propagation=SpatiallyVariantPropagation(network),
            executor=SimulatedExecutor(1.5 * FRAME_NS / 1e9, threads=1))
        self._step_ns, self._stamp_ns = step_ns, 10 * SECOND_NS

    def see(self, count: int) -> list[StepStatus]:
        statuses = []
        for _ in range(count):
            self.high.now_ns = self.refine.now_ns = self._stamp_ns
            statuses.append(self.pipeline.step(Frame(IMAGE, self._stamp_ns)).status)
            self._stamp_ns += self._step_ns
        return statuses


def test_a_key_frame_before_a_still_scene_is_computed_after_all() -> None:
    scene = Scene('low_latency')
    scene.see(3)
    scene.pipeline.change(threshold=0.0)    # a key frame …
    scene.see(1)
    scene.high.fails = True           # … of which S_h fails …
    scene.pipeline.change(threshold=1.0)    # … and from then on everything stands still
    statuses = scene.see(2)
    assert any(status.slow_track_error for status in statuses)
    scene.high.fails = False
    statuses = scene.see(20)
    assert statuses[-1].slow_track_error is None and not statuses[-1].key_provisional
    assert not any(status.key_frame for status in statuses[5:]), 'and that was all'


@pytest.mark.parametrize('schedule', SCHEDULES)
def test_it_is_tried_at_once_and_then_at_least_once_a_second(schedule: str) -> None:
    scene = Scene(schedule, threshold=0.0 if schedule == 'adaptive' else 1.0)
    scene.see(1)
    if schedule == 'low_latency':
        scene.pipeline.change(threshold=0.0)
        scene.see(1)
        scene.pipeline.change(threshold=1.0)
    scene.high.fails = True
    scene.high.calls_ns.clear()
    statuses = scene.see(90)    # six seconds
    gaps_ns = np.diff(scene.high.calls_ns)
    assert 6 <= len(gaps_ns) <= 10, 'not at every frame'
    assert gaps_ns[0] <= 3 * FRAME_NS
    assert SECOND_NS <= gaps_ns[-1] < SECOND_NS + 4 * FRAME_NS
    assert statuses[-1].slow_track_failures == len(scene.high.calls_ns)
    scene.high.fails = False
    statuses = scene.see(20)
    assert statuses[-1].slow_track_error is None
    if schedule == 'every_frame':
        assert all(status.key_frame for status in scene.see(5)), 'as usual again'


def test_where_stamps_stand_still_frames_count() -> None:
    scene = Scene('every_frame', step_ns=0)
    scene.see(1)
    scene.high.fails = True
    scene.see(10)
    scene.high.fails = False
    assert scene.see(40)[-1].key_frame


def test_what_could_not_be_refined_is_refined_later() -> None:
    scene = Scene('low_latency', refines=True, threshold=0.0)
    scene.see(2)
    scene.pipeline.change(threshold=1.0)
    scene.refine.fails = True
    assert any(status.slow_track_error for status in scene.see(20))
    scene.refine.fails = False
    statuses = scene.see(30)
    assert statuses[-1].slow_track_error is None and not statuses[-1].key_provisional


@pytest.mark.parametrize('schedule', ['low_latency', 'adaptive'])
def test_a_replay_tries_again_at_the_same_frames(schedule: str) -> None:
    def run() -> list[Any]:
        scene = Scene(schedule, threshold=0.0)
        scene.see(2)
        scene.high.fails = True
        statuses = scene.see(20)
        scene.high.fails = False
        statuses += scene.see(20)
        return [(one.key_frame, one.key_provisional, one.slow_track_failures)
                for one in statuses]

    assert run() == run()
