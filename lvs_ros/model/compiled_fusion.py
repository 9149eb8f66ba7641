# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How AdaptNet corrects the propagated features, on a CPU: in one pass over them."""

import torch
from torch import nn

from lvs_ros.model.direct_convolution import DirectConvolution
from lvs_ros.native import buffers
from lvs_ros.native.library import channels_last, operators, pointer


class CompiledFusion(nn.Module):
    """Stands in for the fusion and the correction; for inference on a CPU.

    The convolution of concatenated channels is the sum of those of its parts, so nothing is
    concatenated; and what lies between the convolutions never goes through memory.

    :param fusion: 1x1, of the propagated features and, after them, the adapted ones; its batch
        norm folded in
    :param correction: 1x1, of what the fusion and a ReLU come to; as many channels in and out as
        the propagated features have
    :param kind: of the convolutions
    """

    @staticmethod
    def suits(fusion: nn.Module, correction: nn.Module) -> bool:
        """Tell whether they can be computed this way."""
        return all(isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1)
                   and layer.stride == (1, 1) and layer.padding == (0, 0)
                   and DirectConvolution.suits(layer) for layer in (fusion, correction))

    def __init__(self, fusion: nn.Conv2d, correction: nn.Conv2d,
                 kind: type[DirectConvolution] = DirectConvolution) -> None:
        super().__init__()
        channels = correction.out_channels
        of_propagated, of_adapted = fusion.weight.detach().tensor_split([channels], 1)
        self.of_propagated = kind(_one_by_one(of_propagated, fusion.bias))
        self.of_adapted = kind(_one_by_one(of_adapted, None))
        self.correction = kind(correction)

    def forward(self, propagated: torch.Tensor, adapted: torch.Tensor) -> torch.Tensor:
        """Correct the propagated features.

        :param propagated: (B, C, h, w) float32
        :param adapted: (B, C_a, h, w) float32
        :return: (B, C, h, w), channels last
        :raises ValueError: for tensors that do not fit.
        """
        layers = (self.of_propagated, self.of_adapted, self.correction)
        self.of_adapted.check(adapted, added=propagated)
        self.of_propagated.check(propagated)
        compute = getattr(operators(), self.correction.fusion_operator)
        propagated, adapted = channels_last(propagated), channels_last(adapted)
        result = buffers.empty(*propagated.shape)
        weights = [pointer(tensor) for layer in layers for tensor in (layer.weight, layer.bias)]
        _, channels, height, width = propagated.shape
        for index in range(propagated.shape[0]):
            compute(pointer(propagated, index), pointer(adapted, index), *weights,
                    pointer(result, index), height, width, channels, adapted.shape[1],
                    torch.get_num_threads())
        return result


def _one_by_one(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Conv2d:
    convolution = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=bias is not None)
    convolution.weight = nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        convolution.bias = nn.Parameter(bias.detach(), requires_grad=False)
    return convolution
