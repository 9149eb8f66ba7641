# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The pipeline on a GPU: the CPU's masks, and frames between the pieces of S_h."""

from typing import Any

import numpy as np
import pytest
import torch

from lvs_ros.backends.cuda.transfer import all_to_host, to_device
from lvs_ros.backends.prepare import prepare
from lvs_ros.checkpoints import checkpoint
from lvs_ros.model import VARIANTS, SegmentationNetwork
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.build import assemble
from lvs_ros.pipeline.execution import Job, SimulatedExecutor, choose_executor
from lvs_ros.pipeline.frame import Frame
from lvs_ros.pipeline.pipeline import SegmentationPipeline

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
HEIGHT, WIDTH = 96, 128


def pipeline(device: str, **options: Any) -> SegmentationPipeline:
    """Make one with the same random weights each time."""
    torch.manual_seed(1)
    network = prepare(SegmentationNetwork(VARIANTS['tiny']('camvid', 11)),
                      device=torch.device(device), precision='float32')
    return assemble(network, PipelineOptions(device=device, **options),
                    executor=SimulatedExecutor(0.15))


def frame(number: int) -> Frame:
    """A picture of blocks that moves to the left."""
    blocks = np.random.default_rng(0).integers(0, 256, (HEIGHT // 8, 64, 3), dtype=np.uint8)
    image = np.kron(blocks, np.ones((8, 8, 1), np.uint8))[:, 2 * number:2 * number + WIDTH]
    return Frame(image=image, stamp_ns=number * 100_000_000)


@pytest.mark.parametrize('flip_averaging', [False, True])
@pytest.mark.parametrize('schedule', ['low_latency', 'adaptive', 'every_frame'])
def test_the_masks_are_the_cpus(
        monkeypatch: pytest.MonkeyPatch, schedule: str, flip_averaging: bool) -> None:
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    options = dict(schedule=schedule, flip_averaging=flip_averaging, threshold=1.0,
                   max_key_age_frames=3)
    with pipeline('cuda', **options) as on_gpu, pipeline('cpu', **options) as on_cpu:
        for number in range(8):
            result, expected = on_gpu.step(frame(number)), on_cpu.step(frame(number))
            assert np.mean(result.mask == expected.mask) > 0.995
            assert result.status.key_frame == expected.status.key_frame
            assert result.status.deviation == pytest.approx(expected.status.deviation, abs=1e-3)


def test_a_frame_does_not_wait_for_s_h() -> None:
    executor = choose_executor(torch.device('cuda'))
    low = torch.ones(1, device='cuda')

    def high() -> torch.Tensor:
        product = torch.ones(4096, 4096, device='cuda')
        for _ in range(200):    # each fills the whole GPU, for some milliseconds
            product = product @ product
            checkpoint()
        return low + 1

    executor.submit(Job(1, 0, high))
    for _ in range(10):
        assert executor.run(lambda: float(low + 2)) == 3
    assert executor.busy and executor.results(0) == [], 'the frames were done before S_h'
    executor.wait(60)
    result, = executor.results(0)
    assert result.high is not None and float(result.high) == 2
    executor.close()


@pytest.mark.parametrize('dtype', [torch.uint8, torch.float32])
def test_there_and_back(dtype: torch.dtype) -> None:
    original = (torch.arange(24.0).reshape(4, 6) * 7).to(dtype)
    expected = original.clone()
    copy = to_device(original[:, 1:5], torch.device('cuda'))
    original.zero_()
    assert copy.is_cuda and np.array_equal(all_to_host([copy])[0], expected[:, 1:5].numpy())
