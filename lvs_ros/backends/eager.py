# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Torch alone, on any device: the reference that every other backend is tested against."""

from typing import Any

import torch
from torch import nn

from lvs_ros.backends.folding import fold_batch_norm
from lvs_ros.checkpoints import checkpoint
from lvs_ros.model.network import SegmentationNetwork


def prepare(network: SegmentationNetwork, device: torch.device, dtype: torch.dtype) -> None:
    """Make a network ready for inference, in place: folded, on its device, channels last."""
    network.eval().requires_grad_(False)
    fold_batch_norm(network)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.to(device, dtype)
    call_checkpoints(network)


def call_checkpoints(network: SegmentationNetwork) -> None:
    """Let S_l and S_h call :func:`~lvs_ros.checkpoints.checkpoint` before every convolution."""
    for part in (network.backbone, network.head):
        for module in part.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_pre_hook(_checkpoint)


def _checkpoint(module: nn.Module, args: Any) -> None:
    checkpoint()
