# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Networks of random weights in which every part changes the result."""

import torch
from torch import nn

from lvs_ros.model import ModelConfig, SegmentationNetwork
from lvs_ros.model.detail_head import DetailHead


def random_network(config: ModelConfig) -> SegmentationNetwork:
    torch.manual_seed(0)
    network = SegmentationNetwork(config).eval().requires_grad_(False)
    for module in network.modules():    # as after training: no batch norm is the identity
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, std=0.1)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    nn.init.normal_(network.adapt_net.correction.weight, std=0.1)
    if isinstance(network.detail_head, DetailHead):
        nn.init.normal_(network.detail_head.correction.weight)
    return network
