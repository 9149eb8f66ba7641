# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Pipelines that replay CUDA graphs, against one that launches every kernel in float32."""

import concurrent.futures
import itertools
from typing import Any, Optional

import numpy as np
import pytest
import torch

from lvs_ros.backends import eager
from lvs_ros.backends.network_stages import NetworkStages
from lvs_ros.backends.prepare import prepare
from lvs_ros.model import load_network
from lvs_ros.options import PipelineOptions, SCHEDULES
from lvs_ros.pipeline.build import assemble
from lvs_ros.pipeline.execution import Executor, SimulatedExecutor, choose_executor
from lvs_ros.pipeline.frame import Frame
from lvs_ros.pipeline.pipeline import SegmentationPipeline
from lvs_ros.pipeline.propagation import SpatiallyVariantPropagation
from lvs_ros.street import StreetScene

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
DEVICE = torch.device('cuda', 0)
FRAME_S = 0.1
SHARES = {'float32': 0.999, 'float16': 0.999, 'bfloat16': 0.995}    # of labels that are the same


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)


def street(width: int, height: int, count: int) -> list[Frame]:
    scene = StreetScene(width=width, height=height, seed=3)
    return [Frame(scene.render(number * FRAME_S)[0], round(number * FRAME_S * 1e9))
            for number in range(count)]


def with_graphs(precision: str, executor: Optional[Executor] = None, **options: Any
                ) -> SegmentationPipeline:
    network = prepare(load_network('lite_camvid'), device=DEVICE, precision=precision)
    return assemble(network, PipelineOptions(**options),
                    executor=executor or SimulatedExecutor(1.5 * FRAME_S))


def plain(**options: Any) -> SegmentationPipeline:
    network = load_network('lite_camvid')
    eager.prepare(network, DEVICE, torch.float32)
    propagation = SpatiallyVariantPropagation(network)
    return assemble(network, PipelineOptions(**options), propagation=propagation,
                    stages=NetworkStages(network, propagation),
                    executor=SimulatedExecutor(1.5 * FRAME_S))


@pytest.mark.parametrize('flip_averaging', [False, True])
@pytest.mark.parametrize('precision', SHARES)
@pytest.mark.parametrize('schedule', SCHEDULES)
def test_labels_and_deviation(schedule: str, precision: str, flip_averaging: bool) -> None:
    # Key frames by age: a threshold would be passed in one precision and not in another.
    options: dict[str, Any] = dict(schedule=schedule, flip_averaging=flip_averaging,
                                   threshold=1.0, max_key_age_frames=3, fixed_interval=3)
    with with_graphs(precision, **options) as graphs, plain(**options) as expected:
        for size in ((480, 360), (471, 357), (480, 360)):    # an odd one between
            for number, frame in enumerate(street(*size, 6)):
                found, right = (each.step(frame, want_confidence=number == 4)
                                for each in (graphs, expected))
                assert np.mean(found.mask == right.mask) >= SHARES[precision]
                if right.status.deviation is not None:
                    assert found.status.deviation == pytest.approx(
                        right.status.deviation, abs=0.01)
                if right.confidence is not None and found.confidence is not None:
                    difference = np.abs(found.confidence.astype(int) - right.confidence)
                    assert np.mean(difference <= 4) > 0.99
        assert graphs.fallbacks == []


def test_after_the_warm_up_a_frame_is_three_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    replays = itertools.count()
    replay = torch.cuda.CUDAGraph.replay

    def counted(graph: torch.cuda.CUDAGraph) -> None:
        next(replays)
        replay(graph)

    monkeypatch.setattr(torch.cuda.CUDAGraph, 'replay', counted)
    with with_graphs('float16', choose_executor(DEVICE), threshold=1.0,
                     max_key_age_frames=0) as graphs:
        graphs.warm_up(480, 360)
        frames = street(480, 360, 3)
        graphs.step(frames[0])
        before = next(replays)
        for frame in frames[1:]:
            graphs.step(frame)
        assert next(replays) - before - 1 == 2 * 3
        assert graphs.fallbacks == []


def test_a_camera_that_changes_its_size_beside_s_h() -> None:
    with with_graphs('float16', choose_executor(DEVICE), threshold=0.0) as graphs, \
            plain(schedule='every_frame', flip_averaging=False) as full:
        for size in ((480, 360), (640, 480), (480, 360), (320, 240)):
            frames = street(*size, 12)
            for number, frame in enumerate(frames):
                mask = graphs.step(frame).mask
                if number == 0:    # is computed in full
                    full.reset()
                    assert np.mean(mask == full.step(frame).mask) >= SHARES['float16']
            graphs.executor.wait(20)
        assert graphs.fallbacks == []


def test_pipelines_in_several_threads_share_the_gpu_and_nothing_else() -> None:
    frames = street(480, 360, 12)

    def masks(threshold: float) -> list[np.ndarray]:
        with with_graphs('float16', threshold=threshold) as graphs:
            return [graphs.step(frame).mask.copy() for frame in frames]

    thresholds = 0.0, 0.02, 1.0
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        together = list(pool.map(masks, thresholds))
    for found, threshold in zip(together, thresholds):
        for mask, right in zip(found, masks(threshold)):
            assert np.mean(mask == right) > 0.999
