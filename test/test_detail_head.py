# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The detail head: its equation, its place in the network, the model file, the pipeline."""

import copy
import dataclasses
import json
import pathlib
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from torch.nn import functional

from lvs_ros.backends.prepare import prepare
from lvs_ros.errors import ConfigurationError
from lvs_ros.model import VARIANTS, ModelConfig, SegmentationNetwork, load_network, save_network
from lvs_ros.model.detail_head import DetailHead
from lvs_ros.model.digest import CHECKSUM, checksum
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.build import assemble
from lvs_ros.pipeline.execution import SimulatedExecutor
from lvs_ros.pipeline.frame import Frame
from lvs_ros.pipeline.propagation import HoldPropagation
from random_networks import random_network

CONFIG = dataclasses.replace(VARIANTS['tiny']('camvid', 11), detail_channels=8)
CPU = torch.device('cpu')


def doubled(x: np.ndarray, align_corners: bool) -> np.ndarray:
    """Enlarge (C, h, w) bilinearly, position by position: to twice, or with corners to 2 h - 1."""
    sizes = [2 * side - align_corners for side in x.shape[1:]]
    result = np.zeros((len(x), *sizes))
    for i, j in np.ndindex(*sizes):
        places = [k / 2 if align_corners else np.clip((k + 0.5) / 2 - 0.5, 0, side - 1)
                  for k, side in zip((i, j), x.shape[1:])]
        (y, x0), (v, u) = map(int, places), (place % 1 for place in places)
        y1, x1 = min(y + 1, x.shape[1] - 1), min(x0 + 1, x.shape[2] - 1)
        result[:, i, j] = ((1 - v) * ((1 - u) * x[:, y, x0] + u * x[:, y, x1])
                           + v * ((1 - u) * x[:, y1, x0] + u * x[:, y1, x1]))
    return result


@pytest.mark.parametrize('align_corners', [False, True])
def test_it_computes_what_its_equation_says(align_corners: bool) -> None:
    torch.manual_seed(0)
    head = DetailHead(5, 3, 4, 2, align_corners=align_corners).double().eval()
    torch.nn.init.normal_(head.correction.weight)
    for module in head.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    logits, high = torch.randn(2, 3, 4).double(), torch.randn(5, 3, 4).double()
    size = (5, 7) if align_corners else (6, 8)
    detail = torch.randn(3, *size).double()

    def layer(x: np.ndarray, layers: Any) -> np.ndarray:
        weight, norm = layers[0].weight.detach().numpy(), layers[1]
        reach = weight.shape[2] // 2
        padded = np.pad(x, ((0, 0), (reach, reach), (reach, reach)))
        y = np.array([[[(kernel * padded[:, i:i + 2 * reach + 1, j:j + 2 * reach + 1]).sum()
                        for j in range(x.shape[2])] for i in range(x.shape[1])]
                      for kernel in weight])
        mean, var, scale, shift = (one.detach().numpy()[:, None, None] for one in (
            norm.running_mean, norm.running_var, norm.weight, norm.bias))
        return (y - mean) / np.sqrt(var + norm.eps) * scale + shift

    mixed = doubled(layer(high.numpy(), head.of_high), align_corners) + layer(
        detail.numpy(), head.of_detail)
    fused = np.maximum(layer(np.maximum(mixed, 0), head.fuse), 0)
    weight, bias = (one.detach().numpy() for one in head.correction.parameters())
    expected = doubled(logits.numpy(), align_corners) + np.einsum(
        'ck,kij->cij', weight[:, :, 0, 0], fused) + bias[:, None, None]
    with torch.no_grad():
        found = head(logits[None], high[None], detail[None])[0]
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize('align_corners', [False, True])
@torch.no_grad()
def test_a_new_head_corrects_nothing(align_corners: bool) -> None:
    network = SegmentationNetwork(dataclasses.replace(CONFIG, align_corners=align_corners)).eval()
    low, detail = network.low_and_detail(torch.rand(2, 3, 43, 61) * 255)
    high = network.high(low)
    coarse = network.classify(high)
    assert detail is not None
    assert detail.shape[2:] == tuple(2 * side - align_corners for side in low.shape[2:])
    torch.testing.assert_close(network.logits(high, detail), functional.interpolate(
        coarse, detail.shape[2:], mode='bilinear', align_corners=align_corners))
    network.remove_detail_head()
    assert network.config.detail_channels == 0
    assert torch.equal(network.logits(high, None), coarse)
    assert network.low_and_detail(torch.zeros(1, 3, 32, 32))[1] is None


def test_a_file_with_a_head(tmp_path: pathlib.Path) -> None:
    network = random_network(CONFIG)
    path = tmp_path / 'model.safetensors'
    save_network(network, path, half=False)
    loaded, image = load_network(path), torch.rand(1, 3, 40, 48) * 255
    assert loaded.config == CONFIG
    assert torch.equal(loaded(image), network(image))


def test_a_file_of_before_there_were_heads(tmp_path: pathlib.Path) -> None:
    network = random_network(dataclasses.replace(CONFIG, detail_channels=0))
    path = tmp_path / 'model.safetensors'
    save_network(network, path, half=False)
    with safetensors.safe_open(path, framework='pt') as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    fields = json.loads(metadata['config'])
    del fields['detail_channels']
    metadata['config'] = json.dumps(fields)
    metadata[CHECKSUM] = checksum(metadata, tensors)
    safetensors.torch.save_file(tensors, path, metadata=metadata)
    loaded, image = load_network(path), torch.rand(1, 3, 40, 48) * 255
    assert loaded.detail_head is None and loaded.config.detail_channels == 0
    # S_l, S_h, classifier, enlarged at once
    expected = functional.interpolate(network.classifier(network.head(network.backbone.high(
        network.backbone.low(network.normalise(image))))), (40, 48), mode='bilinear')
    assert torch.equal(loaded(image), expected)


def frame(number: int) -> Frame:
    image = np.random.default_rng(number).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    return Frame(image, number * 100_000_000)


@torch.inference_mode()
def test_each_frame_is_given_its_own_detail() -> None:
    network = random_network(CONFIG)
    prepared = prepare(copy.deepcopy(network), device=CPU, precision='float32')
    tensors = [torch.from_numpy(frame(number).image.copy()).permute(2, 0, 1)[None].float()
               for number in range(3)]
    key_high = network.high(network.low(tensors[0]))
    options = PipelineOptions(schedule='fixed', fixed_interval=9, flip_averaging=False)
    with assemble(prepared, options, propagation=HoldPropagation(),
                  executor=SimulatedExecutor(0.0, threads=1)) as pipeline:
        for number in range(3):    # in full, then by the features of the first
            mask = pipeline.step(frame(number)).mask
            logits = network.logits(key_high, network.low_and_detail(tensors[number])[1])
            expected = network.upsample(logits, 37, 53).argmax(1)[0].numpy()
            assert (mask != expected).mean() < 0.005    # rounding
            if not number:
                assert (network(tensors[0]).argmax(1)[0].numpy() == expected).all()


def test_other_numbers_of_channels_are_refused() -> None:
    with pytest.raises(ConfigurationError, match='detail_channels'):
        ModelConfig.from_json(CONFIG.to_json().replace('"detail_channels": 8',
                                                       '"detail_channels": -1'))
