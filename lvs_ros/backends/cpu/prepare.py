# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A network made ready for a CPU: native modules in place of torch's."""

import math
import os
from typing import Optional, cast

import torch
from torch import nn

from lvs_ros.backends import eager
from lvs_ros.backends.cpu.adapt_net import NativeAdaptNet
from lvs_ros.backends.cpu.amx.convolution import AmxConvolution
from lvs_ros.backends.cpu.convolution import NativeConvolution
from lvs_ros.backends.cpu.direct import DirectConvolution
from lvs_ros.backends.cpu.label_map import NativeLabelMap
from lvs_ros.backends.cpu.library import VARIABLE, has_amx, kernels
from lvs_ros.backends.cpu.linear_of_mean import NativeLinearOfMean
from lvs_ros.backends.cpu.padding import pad_first_stage
from lvs_ros.backends.cpu.propagation import NativeSpatiallyVariantConvolution, NativeWarp
from lvs_ros.backends.cpu.stem import NativeStem
from lvs_ros.backends.cpu.winograd import WinogradConvolution
from lvs_ros.backends.folding import fold_batch_norm
from lvs_ros.backends.swap import Swap
from lvs_ros.model.adapt_net import AdaptNet
from lvs_ros.model.detail_head import DetailHead
from lvs_ros.model.deviation_net import LinearOfMean
from lvs_ros.model.network import SegmentationNetwork
from lvs_ros.model.normalisation import Normalisation

_HIGH_PIECES = 80    # S_h is cut into at least so many


def prepare(network: SegmentationNetwork, dtype: torch.dtype) -> None:
    """Make a network ready for inference on the CPU, in place.

    Where there is AMX, bfloat16 is what convolutions multiply; features stay float32. Without
    native kernels for the processor or the type, torch computes everything.

    :param network: new, float32, on the CPU
    """
    amx = dtype == torch.bfloat16 and has_amx()
    if kernels() is None or not (amx or dtype == torch.float32):
        eager.prepare(network, torch.device('cpu'), dtype)
        if kernels() is None and os.environ.get(VARIABLE) != 'none':
            network.fallbacks = ['native kernels: torch in place of them (they were not compiled '
                                 'for this processor, or cannot be loaded)']
        return
    network.eval().requires_grad_(False)
    fold_batch_norm(network)
    head = cast(Optional[DetailHead], network.detail_head)
    pad_first_stage(network.backbone,
                    () if head is None else [cast(nn.Conv2d, head.of_detail[0])])
    swap = _Swap(amx)
    stem = cast(nn.Sequential, network.backbone.stem)
    if NativeStem.suits(stem):
        network.backbone.stem = NativeStem(stem, cast(Normalisation, network.normalise),
                                           swap.direct)
        network.normalise = nn.Identity()
    swap.children(network)
    network.warp = NativeWarp()
    network.spatially_variant_convolution = NativeSpatiallyVariantConvolution()
    network.label_map = NativeLabelMap(align_corners=network.config.align_corners)
    _cut(network)


def _cut(network: SegmentationNetwork) -> None:
    """Decide how many pieces each convolution of S_h has where it may be interrupted."""
    layers = [module for part in (*network.backbone.high_blocks(), network.head)
              for module in part.modules() if isinstance(module, NativeConvolution)]
    # Those on pooled features count as if they were on all positions: they are few.
    largest = sum(layer.work for layer in layers) / _HIGH_PIECES
    for layer in layers:
        layer.pieces = math.ceil(layer.work / largest)


class _Swap(Swap):
    """Replaces modules of torch by native ones.

    :param amx: convolutions multiply in bfloat16
    """

    def __init__(self, amx: bool) -> None:
        self._amx = amx
        self.direct = AmxConvolution if amx else DirectConvolution

    def replacement(self, module: nn.Module) -> Optional[nn.Module]:
        if isinstance(module, AdaptNet):
            self.children(module.convolutions)
            return NativeAdaptNet(module, module.convolutions, self.direct)
        if isinstance(module, LinearOfMean):
            return NativeLinearOfMean(module)
        return super().replacement(module)

    def convolution(self, convolution: nn.Conv2d, *, relu: bool = False) -> NativeConvolution:
        if not self._amx and WinogradConvolution.suits(convolution):
            return WinogradConvolution(convolution, relu=relu)
        return self.direct(convolution, relu=relu)
