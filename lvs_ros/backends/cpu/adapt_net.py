# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""AdaptNet on a CPU: the propagated features are corrected in one pass over them."""

from typing import Optional, cast

import torch
from torch import nn

from lvs_ros.backends.cpu import buffers
from lvs_ros.backends.cpu.direct import DirectConvolution
from lvs_ros.backends.cpu.library import channels_last, native, pointer
from lvs_ros.model.adapt_net import AdaptNet


class NativeAdaptNet(nn.Module):
    """Stands in for :class:`~lvs_ros.model.adapt_net.AdaptNet`; for inference.

    The convolution of concatenated channels is the sum of those of its parts, so nothing is
    concatenated; and what lies between the 1x1 convolutions never goes through memory.

    :param adapt_net: with batch norm folded in
    :param convolutions: its three on F_l, native
    :param kind: of the others
    """

    def __init__(self, adapt_net: AdaptNet, convolutions: nn.Module,
                 kind: type[DirectConvolution] = DirectConvolution) -> None:
        super().__init__()
        self.convolutions = convolutions
        fusion, correction = cast(nn.Conv2d, adapt_net.fuse[0]), adapt_net.correction
        of_propagated, of_adapted = fusion.weight.detach().tensor_split(
            [correction.out_channels], 1)
        self.of_propagated = kind(_one_by_one(of_propagated, fusion.bias))
        self.of_adapted = kind(_one_by_one(of_adapted, None))
        self.correction = kind(correction)

    def forward(self, low: torch.Tensor, propagated: torch.Tensor) -> torch.Tensor:
        """Correct the propagated features.

        :param low: (B, C_l, h, w) float32
        :param propagated: (B, C_h, h, w) float32
        :return: (B, C_h, h, w), channels last
        :raises ValueError: for tensors that do not fit.
        """
        layers = (self.of_propagated, self.of_adapted, self.correction)
        adapted = self.convolutions(low)
        self.of_adapted.check(adapted, added=propagated)
        self.of_propagated.check(propagated)
        compute = getattr(native(), self.correction.prefix + 'fusion')
        propagated, adapted = channels_last(propagated), channels_last(adapted)
        result = buffers.empty(*propagated.shape)
        weights = [pointer(tensor) for layer in layers for tensor in (layer.weight, layer.bias)]
        _, channels, height, width = propagated.shape
        for index in range(propagated.shape[0]):
            compute(pointer(propagated, index), pointer(adapted, index), *weights,
                    pointer(result, index), height, width, channels, adapted.shape[1],
                    torch.get_num_threads())
        return result


def _one_by_one(weight: torch.Tensor, bias: Optional[torch.Tensor]) -> nn.Conv2d:
    convolution = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=bias is not None)
    convolution.weight = nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        convolution.bias = nn.Parameter(bias.detach(), requires_grad=False)
    return convolution
