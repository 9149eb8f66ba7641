# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The mask of a frame once more, by its own S_h: what it is, and when it does not come."""

import pathlib
import threading
from typing import Any, Callable, Iterator

import numpy as np
import pytest
import torch

from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.build import build_pipeline
from lvs_ros.pipeline.execution import (Executor, Job, PartitionedExecutor, SimulatedExecutor,
                                        TimeSlicedExecutor)
from lvs_ros.pipeline.frame import Frame, RefinedMask
from lvs_ros.pipeline.pipeline import SegmentationPipeline

SECOND_NS = 1_000_000_000
BACKGROUND = [
    pytest.param(lambda: TimeSlicedExecutor(threads=1), id='time-sliced'),
    pytest.param(lambda: PartitionedExecutor(threads=2), id='partitioned')]


def frame(index: int) -> Frame:
    blocks = np.random.default_rng(index).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Frame(np.kron(blocks, np.ones((8, 8, 1), np.uint8)), index * SECOND_NS)


def made(model: pathlib.Path, executor: Executor, **options: Any
         ) -> tuple[SegmentationPipeline, list[RefinedMask]]:
    """Make a pipeline of which every frame becomes a key frame, and the list of refined masks."""
    settings = {'threshold': 0.0, 'max_key_age_frames': 1, **options}
    pipeline = build_pipeline(PipelineOptions(model=str(model), device='cpu', **settings),
                              executor)
    refined: list[RefinedMask] = []
    pipeline.on_refined = refined.append
    return pipeline, refined


def in_full(model: pathlib.Path, number: int, **options: Any) -> np.ndarray:
    """Return the per-frame network's mask."""
    pipeline, _ = made(model, SimulatedExecutor(0.0), schedule='every_frame', **options)
    with pipeline:
        return pipeline.step(frame(number)).mask


@pytest.mark.parametrize('flip_averaging', [False, True])
@pytest.mark.parametrize('make_executor', [
    *BACKGROUND, pytest.param(lambda: SimulatedExecutor(0.1), id='simulated')])
def test_it_is_the_mask_of_the_full_network(
        tiny_model: pathlib.Path, make_executor: Callable[[], Executor], flip_averaging: bool
        ) -> None:
    pipeline, refined = made(tiny_model, make_executor(), flip_averaging=flip_averaging)
    with pipeline:
        for number in range(3):
            pipeline.step(frame(number))
            pipeline.executor.wait(30)
        pipeline.take_results(9 * SECOND_NS)
        assert pipeline.step(frame(3)).status.slow_track_failures == 0
    flips = [False, True] if flip_averaging else [False]    # once more after flip averaging
    expected = [(number, flip) for number in (1, 2) for flip in flips]    # 0 was in full at once
    assert len(refined) >= len(expected)
    for one, (number, flip) in zip(refined, expected):
        assert one.stamp_ns == number * SECOND_NS
        np.testing.assert_array_equal(one.mask, in_full(tiny_model, number, flip_averaging=flip))


def test_a_newer_frame_lets_it_be_dropped(tiny_model: pathlib.Path) -> None:
    pipeline, refined = made(tiny_model, SimulatedExecutor(1.5), flip_averaging=False)
    with pipeline:
        for number in range(6):
            pipeline.step(frame(number))
    assert not refined    # each S_h ends after the next frame


def test_other_schedules_and_frames_that_are_no_key_frames_have_none(
        tiny_model: pathlib.Path) -> None:
    for options in ({'schedule': 'adaptive'}, {'threshold': 1.0, 'max_key_age_frames': 0}):
        pipeline, refined = made(tiny_model, SimulatedExecutor(0.1), **options)
        with pipeline:
            for number in range(4):
                pipeline.step(frame(number))
        assert not refined


@pytest.mark.parametrize('make_executor', BACKGROUND)
def test_a_job_that_waits_goes_before_the_use_of_a_result(
        make_executor: Callable[[], Executor]) -> None:
    executor, used = make_executor(), []
    started, submitted = threading.Event(), threading.Event()

    def compute() -> torch.Tensor:
        started.set()
        assert submitted.wait(30)
        return torch.zeros(1)

    executor.submit(Job(None, 0, compute, use=lambda high: used.append('first')))
    assert started.wait(30)
    executor.submit(Job(None, 1, compute, use=lambda high: used.append('second')))
    submitted.set()
    executor.wait(30)
    executor.close()
    assert used == ['second']


@pytest.mark.parametrize('make_executor', BACKGROUND)
def test_an_error_in_it_is_told_and_the_masks_go_on(
        tiny_model: pathlib.Path, make_executor: Callable[[], Executor]) -> None:
    pipeline, _ = made(tiny_model, make_executor(), flip_averaging=False)

    def fail(refined: RefinedMask) -> None:
        raise RuntimeError('no room')

    with pipeline:
        pipeline.on_refined = fail
        for number in range(2):
            pipeline.step(frame(number))
            pipeline.executor.wait(30)
        status = pipeline.step(frame(2)).status
    assert status.slow_track_error == 'RuntimeError: no room'


@pytest.fixture
def make_rig(ros_domain: int, tiny_model: pathlib.Path) -> Iterator[Any]:
    pytest.importorskip('rclpy', reason='rclpy is not installed')
    import node_rig
    yield from node_rig.rigs(tiny_model)


def test_the_node_publishes_it_with_the_stamp_of_the_image(
        make_rig: Any, tiny_model: pathlib.Path) -> None:
    from node_rig import image_message, pixels
    from sensor_msgs.msg import Image
    rig = make_rig(refined_mask=True, threshold=0.0, max_key_age_frames=1, autostart=False)
    rig.peer.subscribe(Image, '/lvs/mask_refined')
    assert rig.in_node(rig.node.autostart)
    rig.connect('/lvs/mask_refined')
    rig.send(image_message(frame(0).image, stamp_ns=SECOND_NS))
    for number in (1, 2):
        mask, _ = rig.send(image_message(frame(number).image, stamp_ns=(1 + number) * SECOND_NS))
        expected = [in_full(tiny_model, number, flip_averaging=flip).tobytes()
                    for flip in (False, True)]
        assert rig.peer.wait_until(
            '/lvs/mask_refined',
            lambda one: one.header == mask.header and pixels(one).tobytes() == expected[1])
        masks = [pixels(one).tobytes() for one in rig.peer.received['/lvs/mask_refined']
                 if one.header == mask.header]
        # The newest one counts (keep last 1): the first may have been replaced on its way.
        assert masks in (expected, expected[1:])


def test_without_the_option_there_is_no_such_topic(make_rig: Any) -> None:
    rig = make_rig()
    assert not any(publisher.topic_name == '/lvs/mask_refined'
                   for publisher in rig.node.publishers)
