# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The pipeline on a GPU: the CPU's masks, and two streams that do not wait for each other."""

import threading
from typing import Any

import numpy as np
import pytest
import torch

from lvs_ros.model import VARIANTS, SegmentationNetwork
from lvs_ros.pipeline import Frame, PipelineOptions, SegmentationPipeline
from lvs_ros.pipeline.build import assemble, prepare
from lvs_ros.pipeline.execution import SimulatedExecutor
from lvs_ros.pipeline.gpu_streams import GpuStreams
from lvs_ros.pipeline.propagation import SpatiallyVariantPropagation
from lvs_ros.pipeline.slow_track import BackgroundSlowTrack, SlowJob
from lvs_ros.pipeline.transfer import to_device, to_host

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
HEIGHT, WIDTH = 96, 128


def pipeline(device: str, **options: Any) -> SegmentationPipeline:
    """Make one with the same random weights each time."""
    torch.manual_seed(1)
    network = prepare(SegmentationNetwork(VARIANTS['tiny']('camvid', 11)),
                      device=torch.device(device), precision='float32')
    return assemble(network, PipelineOptions(device=device, **options),
                    propagation=SpatiallyVariantPropagation(network),
                    executor=SimulatedExecutor(0.15))


def frame(number: int) -> Frame:
    """A picture of blocks that moves to the left."""
    blocks = np.random.default_rng(0).integers(0, 256, (HEIGHT // 8, 64, 3), dtype=np.uint8)
    image = np.kron(blocks, np.ones((8, 8, 1), np.uint8))[:, 2 * number:2 * number + WIDTH]
    return Frame(image=image, stamp_ns=number * 100_000_000)


@pytest.mark.parametrize('mirror', [False, True])
@pytest.mark.parametrize('schedule', ['low_latency', 'adaptive', 'every_frame'])
def test_the_masks_are_the_cpus(
        monkeypatch: pytest.MonkeyPatch, schedule: str, mirror: bool) -> None:
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    options = dict(schedule=schedule, flip_averaging=mirror, threshold=1.0, max_key_age_frames=3)
    with pipeline('cuda', **options) as on_gpu, pipeline('cpu', **options) as on_cpu:
        for number in range(8):
            result, expected = on_gpu.step(frame(number)), on_cpu.step(frame(number))
            assert np.mean(result.mask == expected.mask) > 0.995
            assert result.status.key_frame == expected.status.key_frame
            assert result.status.deviation == pytest.approx(expected.status.deviation, abs=1e-3)


def test_a_frame_does_not_wait_for_s_h() -> None:
    streams = GpuStreams(torch.device('cuda'))
    assert streams.frames.priority < streams.slow.priority

    def high(low: torch.Tensor) -> Any:
        product = torch.ones(4096, 4096, device='cuda')
        for _ in range(200):    # each fills the whole GPU, for some milliseconds
            product = product @ product
            yield
        return low + 1

    track = BackgroundSlowTrack(high, policy='normal', threads=1, streams=streams)
    with torch.cuda.stream(streams.frames):
        low = torch.ones(1, device='cuda')
        float(low + 2)    # loads what computes it
    job = SlowJob(number=1, stamp_ns=0, image=low, low=low, description=None)
    track.warm_up(job)
    track.submit(job)
    for _ in range(10):
        threading.Event().wait(0.005)
        with torch.cuda.stream(streams.frames):
            assert float(low + 2) == 3
    assert track.poll(0) == [], 'the frames were done before S_h'
    while not (results := track.poll(0)):
        threading.Event().wait(0.01)
    with torch.cuda.stream(streams.frames):
        assert results[0].high is not None and float(results[0].high) == 2
    track.close()


@pytest.mark.parametrize('dtype', [torch.uint8, torch.float32])
def test_there_and_back(dtype: torch.dtype) -> None:
    original = (torch.arange(24.0).reshape(4, 6) * 7).to(dtype)
    expected = original.clone()
    copy = to_device(original[:, 1:5], torch.device('cuda'))
    original.zero_()
    assert copy.is_cuda and np.array_equal(to_host(copy), expected[:, 1:5].numpy())
