# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Channels filled up to eights: the same function."""

import dataclasses

import pytest
import torch

from lvs_ros.backends.cpu.padding import pad_first_stage
from lvs_ros.backends.folding import fold_batch_norm
from lvs_ros.model import VARIANTS, SegmentationNetwork


@pytest.mark.parametrize('backbone', ['resnet18', 'resnet50'])
@pytest.mark.parametrize('stem', ['conv7', 'conv3', 'conv3_wide'])
@pytest.mark.parametrize('width', [6, 8, 13])
def test_padding_keeps_the_function(backbone: str, stem: str, width: int) -> None:
    torch.manual_seed(0)
    config = dataclasses.replace(VARIANTS['tiny']('camvid', 11), backbone=backbone, stem=stem,
                                 base_width=width)
    network = SegmentationNetwork(config).eval().requires_grad_(False)
    for module in network.modules():    # as after training: no batch norm does nothing
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)  # type: ignore[union-attr]
            module.bias.uniform_(-1, 1)
    fold_batch_norm(network)
    image = torch.rand(2, 3, 37, 50) * 255
    expected, low_channels = network.double()(image.double()), network.low(image.double()).shape[1]
    network.float()
    pad_first_stage(network.backbone)
    assert (network(image) - expected).abs().max() < 1e-4 * expected.abs().max()
    assert network.low(image).shape[1] == low_channels
    for block in network.backbone.stage(1):
        assert block.conv1.out_channels % 8 == 0    # type: ignore
