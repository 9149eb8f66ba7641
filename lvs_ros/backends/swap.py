# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Modules of torch replaced by those of a backend, all the way down a network."""

from typing import Optional, cast

from torch import nn

from lvs_ros.backends.block import ResidualBlock
from lvs_ros.backends.convolution import Convolution
from lvs_ros.backends.detail_head import FusedDetailHead
from lvs_ros.model.detail_head import DetailHead
from lvs_ros.model.resnet import BasicBlock, Bottleneck


class Swap:
    """Replaces convolutions and residual blocks; batch norm must be folded."""

    def convolution(self, convolution: nn.Conv2d, *, relu: bool = False) -> Convolution:
        """Return what stands in for a convolution."""
        raise NotImplementedError

    def replacement(self, module: nn.Module) -> Optional[nn.Module]:
        """Return what stands in for a module; None = it stays, what is in it is replaced."""
        if isinstance(module, nn.Conv2d):
            return self.convolution(module)
        if isinstance(module, (BasicBlock, Bottleneck)):
            return self._block(module)
        if isinstance(module, DetailHead):
            return self._detail_head(module)
        return None

    def children(self, module: nn.Module) -> None:
        """Replace what is in a module, all the way down."""
        for name, child in module.named_children():
            replacement = self.replacement(child)
            if replacement is None:
                self.children(child)
            else:
                setattr(module, name, replacement)
        if isinstance(module, nn.Sequential):
            _join_relus(module)

    def _block(self, block: BasicBlock | Bottleneck) -> ResidualBlock:
        convolutions = [self.convolution(child, relu=True) for child in block.children()
                        if isinstance(child, nn.Conv2d)]
        downsample = block.downsample
        return ResidualBlock(convolutions, None if downsample is None else self.convolution(
            cast(nn.Conv2d, downsample[0])))

    def _detail_head(self, head: DetailHead) -> FusedDetailHead:
        of_high, of_detail, fuse = (cast(nn.Conv2d, layers[0]) for layers in (
            head.of_high, head.of_detail, head.fuse))
        return FusedDetailHead(
            self.convolution(of_high), self.convolution(of_detail, relu=True),
            self.convolution(fuse, relu=True), self.convolution(head.correction),
            align_corners=head.align_corners)


def _join_relus(layers: nn.Sequential) -> None:
    """Let convolutions do the ReLU that follows them, behind what was their batch norm."""
    for index in range(len(layers) - 2):
        convolution = layers[index]
        if isinstance(convolution, Convolution) and isinstance(layers[index + 2], nn.ReLU):
            convolution.relu = True
            layers[index + 2] = nn.Identity()
