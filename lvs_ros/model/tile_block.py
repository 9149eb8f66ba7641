# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A residual block in one pass, by what :mod:`lvs_ros.model.tile_convolution` multiplies with."""

import math

import torch
from torch import nn

from lvs_ros.model.resnet import BasicBlock
from lvs_ros.model.steps import Steps, finish
from lvs_ros.model.tile_convolution import TileConvolution
from lvs_ros.native import buffers
from lvs_ros.native.library import channels_last, operators, pointer


class TileBlock(nn.Module):
    """Stands in for a :class:`~lvs_ros.model.resnet.BasicBlock`; for inference.

    :param block: with its batch norm folded in; its weights are copied
    """

    @staticmethod
    def suits(block: nn.Module) -> bool:
        """Tell whether it can be computed this way: neither a stride nor a dilation."""
        if not isinstance(block, BasicBlock) or block.downsample is not None:
            return False
        return isinstance(block.bn1, nn.Identity) and all(
            isinstance(layer, nn.Conv2d) and TileConvolution.suits(layer)
            and layer.kernel_size == (3, 3)
            and layer.stride == layer.padding == layer.dilation == (1, 1)
            for layer in (block.conv1, block.conv2))

    def __init__(self, block: BasicBlock) -> None:
        super().__init__()
        self.conv1, self.conv2 = TileConvolution(block.conv1), TileConvolution(block.conv2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) float32 → the same shape, channels last."""
        return finish(self.steps(x))

    def steps(self, x: torch.Tensor, largest: float = math.inf) -> Steps:
        """Do the same in steps; see :func:`~lvs_ros.model.convolution.convolve`.

        :raises ValueError: for tensors that do not fit.
        """
        first, second = self.conv1, self.conv2
        first.check(x)
        native, threads = operators(), torch.get_num_threads()
        batch, channels, height, width = x.shape
        x, result = channels_last(x), buffers.empty(batch, channels, height, width)
        part = math.ceil(height / max(1, math.ceil((first.work + second.work) / largest)))
        for index in range(batch):
            for begin in range(0, height, part):
                if index or begin:
                    yield
                native.lvs_tile_block(
                    pointer(x, index), pointer(first.weight), pointer(first.bias),
                    pointer(second.weight), pointer(second.bias), pointer(result, index), height,
                    width, channels, begin, min(height, begin + part), threads)
        return result
