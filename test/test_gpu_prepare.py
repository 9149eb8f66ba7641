# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A network made ready for a GPU, all its kernels together; without a GPU, by the interpreter."""

import copy
import dataclasses
from typing import Any
import warnings

import pytest
import torch
from torch import nn

from gpu_kernels import DEVICE, module_of
from lvs_ros.backends.cuda.convolution import FusedConvolution, in_several_kernels
from lvs_ros.backends.cuda.prepare import prepare
from lvs_ros.checkpoints import checkpoints
from lvs_ros.errors import ModelFileError
from lvs_ros.model import VARIANTS, SegmentationNetwork
from random_networks import random_network

TINY = VARIANTS['tiny']('camvid', 3)
CONFIGS = {
    'basic': TINY,
    'bottleneck': dataclasses.replace(TINY, backbone='resnet50', stem='conv3', head='psp',
                                      alignment='flow', align_corners=True,
                                      detail_channels=8)}
SIZE = 27, 43
# A GPU multiplies float32 with the 10 bits of TF32, as it does for users.
TF32 = 1e-2 if DEVICE.type == 'cuda' else 0


@pytest.fixture(scope='module', autouse=True)
def kernels() -> dict[str, Any]:
    return {name: module_of(name) for name in (
        'label_map', 'normalisation', 'spatially_variant_convolution', 'warp')}


@pytest.fixture
def fusing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch stand in for cuDNN where there is none."""
    if DEVICE.type == 'cpu':
        monkeypatch.setattr('lvs_ros.backends.cuda.prepare.in_one_kernel', in_several_kernels)


def outputs_of(network: SegmentationNetwork, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Return what a network computes of two frames, the first of which is the key frame."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (2, 1, 3, *SIZE), generator=generator)
    first, second = images.to(network.device, dtype)
    key_low, (low, detail) = network.low(first), network.low_and_detail(second)
    high = network.refine(network.high(key_low), first)
    displacement = torch.rand(1, 2, *low.shape[2:], generator=generator) * 3
    moved = network.propagate(network.embed(key_low), network.embed(low), high,
                              displacement.to(network.device, torch.float32))
    logits = network.logits(network.adapt(low, moved), detail)
    mask, confidence = network.label_map(logits, (7, 30), SIZE, True)
    return {'low': low, 'high': high, 'moved': moved, 'logits': logits, 'mask': mask,
            'deviation': network.deviation(key_low, low), 'confidence': confidence}


@pytest.mark.parametrize('name, dtype', [
    ('basic', torch.float32), ('bottleneck', torch.float16)])
@torch.inference_mode()
def test_a_network_computes_the_same(fusing: None, name: str, dtype: torch.dtype) -> None:
    network = random_network(CONFIGS[name])
    expected = outputs_of(copy.deepcopy(network), torch.float32)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        prepare(network, DEVICE, dtype)
    assert network.fallbacks == []
    assert not any(isinstance(module, (nn.Conv2d, nn.ReLU)) for module in network.modules())
    found = outputs_of(network, torch.uint8)
    for key, values in expected.items():
        values, result = values.double(), found[key].double().cpu()
        if key == 'mask':
            assert (result != values).double().mean() < 0.02, key
        elif key == 'confidence':
            assert (result - values).abs().mean() < 0.5, key
        else:
            error = (result - values).abs().max() / (1e-3 + values.abs().max())
            assert error < max(TF32, 4 * torch.finfo(dtype).eps, 1e-4), key


@torch.inference_mode()
def test_interrupted_it_computes_the_same(fusing: None) -> None:
    network = random_network(TINY)
    prepare(network, DEVICE, torch.float32)
    low = network.low(torch.full((1, 3, 24, 32), 90, dtype=torch.uint8, device=DEVICE))
    whole = network.high(low)
    for module in network.modules():
        if isinstance(module, FusedConvolution):
            module.pieces = 2
    calls: list[int] = []
    with checkpoints(lambda: calls.append(1)):
        in_pieces = network.high(low)
    assert len(calls) > sum(isinstance(module, FusedConvolution)
                            for part in (*network.backbone.high_blocks(), network.head)
                            for module in part.modules())
    torch.testing.assert_close(in_pieces, whole, rtol=0, atol=max(TF32, 1e-4))


def fails(*arguments: Any) -> torch.Tensor:
    raise RuntimeError('no such engine')


def test_what_cannot_be_used_is_left_to_torch_and_told(
        monkeypatch: pytest.MonkeyPatch, kernels: dict[str, Any]) -> None:
    monkeypatch.setattr('lvs_ros.backends.cuda.prepare.in_one_kernel', fails)
    monkeypatch.setattr(kernels['spatially_variant_convolution'], 'convolve', fails)
    network, other = random_network(TINY), random_network(TINY)
    plain = copy.deepcopy(network).to(DEVICE)
    with pytest.warns(UserWarning, match='takes longer.*no such engine'):
        prepare(network, DEVICE, torch.float32)
    fused, convolution = network.fallbacks
    # stem 1, blocks 16, head 1, kernel predictor 2, AdaptNet 4, deviation net 2
    assert fused == ('convolution with bias, addition and ReLU: several kernels in place of one, '
                     'in 26 of 26 layers (RuntimeError: no such engine)')
    assert convolution == ('spatially variant convolution: torch in place of the Triton kernel '
                           '(RuntimeError: no such engine)')
    assert other.fallbacks == []
    image = torch.full((1, 3, 24, 32), 90, dtype=torch.uint8, device=DEVICE)
    torch.testing.assert_close(network.low(image), plain.low(image), rtol=0, atol=max(TF32, 1e-4))


def test_features_that_may_overflow_are_not_hidden(fusing: None) -> None:
    network = random_network(TINY)
    network.backbone.stem[0].weight.mul_(2000)  # type: ignore[index]
    with pytest.warns(UserWarning, match='all layers.*may overflow'):
        prepare(network, DEVICE, torch.float16)
    network = random_network(TINY)
    network.backbone.stem[0].weight.mul_(1e9)  # type: ignore[index]
    with pytest.raises(ModelFileError, match='not finite in float16'):
        prepare(network, DEVICE, torch.float16)
