# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The pipeline on a GPU: the CPU's masks, and frames between the pieces of S_h."""

import copy
from typing import Any

import numpy as np
import pytest
import torch

from lvs_ros.backends import eager
from lvs_ros.backends.cuda.transfer import all_to_host, to_device
from lvs_ros.backends.prepare import prepare
from lvs_ros.checkpoints import checkpoint
from lvs_ros.model import VARIANTS, SegmentationNetwork, load_network
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.build import assemble
from lvs_ros.pipeline.execution import Job, SimulatedExecutor, choose_executor
from lvs_ros.pipeline.frame import Frame
from lvs_ros.pipeline.pipeline import SegmentationPipeline
from lvs_ros.street import StreetScene

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


@torch.inference_mode()
def street_labels(network: SegmentationNetwork) -> tuple[list[torch.Tensor], float]:
    """Label two pictures of the synthetic street, the second by the first; and the deviation."""
    scene, size = StreetScene(width=480, height=360, seed=3), (360, 480)
    key, now = (torch.from_numpy(scene.render(stamp_s)[0].copy()).permute(2, 0, 1)[None].to(
        network.device) for stamp_s in (0.0, 0.2))
    (key_low, key_detail), (low, detail) = map(network.low_and_detail, (key, now))
    high = network.high(key_low)
    displacement = torch.full((1, 2, *low.shape[2:]), 0.4, device=network.device)
    moved = network.propagate(network.embed(key_low), network.embed(low), high, displacement)
    masks = [network.label_map(network.logits(features, own).float(), size, size)[0]
             for features, own in ((high, key_detail), (network.adapt(low, moved), detail))]
    return masks, float(network.deviation(key_low, low))


@pytest.mark.parametrize('precision, share', [
    ('float32', 0.999), ('float16', 0.999), ('bfloat16', 0.995)])
def test_trained_weights_label_as_in_float32(
        monkeypatch: pytest.MonkeyPatch, precision: str, share: float) -> None:
    device, network = torch.device('cuda'), load_network('lite_camvid')
    plain = copy.deepcopy(network)
    eager.prepare(plain, device, torch.float32)
    with monkeypatch.context() as patch:
        patch.setattr(torch.backends.cudnn, 'allow_tf32', False)
        expected, expected_deviation = street_labels(plain)
    found, deviation = street_labels(prepare(network, device=device, precision=precision))
    assert network.fallbacks == []
    for mask, right in zip(found, expected):
        assert (mask == right).double().mean() >= share
    assert deviation == pytest.approx(expected_deviation, abs=0.01)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason='needs two GPUs')
def test_the_second_gpu_is_used_as_the_first() -> None:
    masks = [street_labels(prepare(load_network('lite_camvid'), device=torch.device(name),
                                   precision='float16'))[0][1].cpu()
             for name in ('cuda:0', 'cuda:1')]
    assert (masks[0] == masks[1]).double().mean() > 0.999
