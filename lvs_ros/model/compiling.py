# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Convolutions in C++ in place of torch's: a network's last preparation for a CPU."""

from torch import nn

from lvs_ros.model.adapt_net import AdaptNet
from lvs_ros.model.compiled_convolution import CompiledConvolution
from lvs_ros.model.compiled_stem import CompiledStem
from lvs_ros.model.convolution import NormedConvolutions, Stem
from lvs_ros.model.direct_convolution import DirectConvolution
from lvs_ros.model.joined_convolution import JoinedConvolution
from lvs_ros.model.network import SegmentationNetwork
from lvs_ros.model.winograd import WinogradConvolution
from lvs_ros.native.library import library


def compile_network(network: SegmentationNetwork) -> None:
    """Replace the stem, if it suits, and all convolutions that do, in place.

    Does nothing where there are no compiled operators for this processor.

    :param network: in evaluation mode, with batch norm folded in
    """
    stem = network.backbone.stem
    if library() is not None and isinstance(stem, Stem) and CompiledStem.suits(stem):
        network.backbone.stem = CompiledStem(stem, network.mean, network.std)
    use_compiled_convolutions(network)


def use_compiled_convolutions(module: nn.Module) -> None:
    """Replace all convolutions that suit, in place, all the way down.

    Does nothing where there are no compiled operators for this processor.
    """
    if library() is None:
        return
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d):
            setattr(module, name, _compiled(child) or child)
        else:
            if isinstance(child, AdaptNet):
                _join(child)
            use_compiled_convolutions(child)


def _join(adapt_net: AdaptNet) -> None:
    """Let the fusion read what is fused where it is."""
    if not isinstance(adapt_net.fuse, NormedConvolutions):    # done already
        return
    fusion, norm, _ = adapt_net.fuse
    high_channels = adapt_net.correction.out_channels
    if (isinstance(norm, nn.Identity) and isinstance(fusion, nn.Conv2d)
            and JoinedConvolution.suits(fusion)):
        adapt_net.fuse = JoinedConvolution(
            fusion, (high_channels, fusion.in_channels - high_channels))


def _compiled(convolution: nn.Conv2d) -> CompiledConvolution | None:
    for kind in (WinogradConvolution, DirectConvolution):
        if kind.suits(convolution):
            return kind(convolution)
    return None
