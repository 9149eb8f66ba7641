# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Convolutions in C++ in place of torch's: a network's last preparation for a CPU."""

from typing import Sequence, cast

from torch import nn

from lvs_ros.model.adapt_net import AdaptNet
from lvs_ros.model.compiled_convolution import CompiledConvolution
from lvs_ros.model.compiled_fusion import CompiledFusion
from lvs_ros.model.compiled_stem import CompiledStem
from lvs_ros.model.convolution import NormedConvolutions, Stem
from lvs_ros.model.direct_convolution import DirectConvolution
from lvs_ros.model.network import SegmentationNetwork
from lvs_ros.model.resnet import BasicBlock
from lvs_ros.model.tile_block import TileBlock
from lvs_ros.model.tile_convolution import TileConvolution
from lvs_ros.model.winograd import WinogradConvolution
from lvs_ros.native.library import library

Kinds = Sequence[type[WinogradConvolution] | type[DirectConvolution]]

FLOAT32: Kinds = (WinogradConvolution, DirectConvolution)
"""Kinds of convolutions for the whole accuracy, the best first."""

BFLOAT16: Kinds = (TileConvolution,)
"""Where :func:`~lvs_ros.native.library.has_tiles`."""


def compile_network(network: SegmentationNetwork, kinds: Kinds = FLOAT32) -> None:
    """Replace the stem, if it suits, and all convolutions that do, in place.

    Does nothing where there are no compiled operators for this processor.

    :param network: in evaluation mode, with batch norm folded in
    """
    stem = network.backbone.stem
    if library() is not None and isinstance(stem, Stem) and CompiledStem.suits(stem):
        network.backbone.stem = CompiledStem(stem, network.mean, network.std, _direct(kinds))
    use_compiled_convolutions(network, kinds)


def use_compiled_convolutions(module: nn.Module, kinds: Kinds = FLOAT32) -> None:
    """Replace all convolutions that suit, in place, all the way down.

    Does nothing where there are no compiled operators for this processor.
    """
    if library() is None:
        return
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d):
            setattr(module, name, _compiled(child, kinds) or child)
        elif TileConvolution in kinds and TileBlock.suits(child):
            setattr(module, name, TileBlock(cast(BasicBlock, child)))
        else:
            if isinstance(child, AdaptNet):
                _compile_fusion(child, kinds)
            use_compiled_convolutions(child, kinds)


def _compile_fusion(adapt_net: AdaptNet, kinds: Kinds) -> None:
    if not isinstance(adapt_net.fuse, NormedConvolutions):    # done already
        return
    fusion, norm, _ = adapt_net.fuse
    correction = adapt_net.correction
    if isinstance(norm, nn.Identity) and CompiledFusion.suits(fusion, correction):
        adapt_net.fuse = CompiledFusion(cast(nn.Conv2d, fusion), correction, _direct(kinds))
        adapt_net.correction = nn.Identity()  # type: ignore[assignment]  # is part of that


def _direct(kinds: Kinds) -> type[DirectConvolution]:
    return next(kind for kind in kinds if issubclass(kind, DirectConvolution))


def _compiled(convolution: nn.Conv2d, kinds: Kinds) -> CompiledConvolution | None:
    for kind in kinds:
        if kind.suits(convolution):
            return kind(convolution)
    return None
