# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A convolution of several features that reads each where it is."""

from typing import Sequence

import torch
from torch import nn

from lvs_ros.model.convolution import convolve
from lvs_ros.model.direct_convolution import DirectConvolution
from lvs_ros.model.steps import finish


class JoinedConvolution(nn.Module):
    """A compiled 1x1 convolution and a ReLU on several features as if they were one.

    The convolution of concatenated channels is the sum of those of its parts; nothing is
    concatenated. For inference on a CPU.

    :param convolution: of all of them, with its batch norm folded in; its weights are copied
    :param channels: of each, in the order of the weights
    :param kind: of the convolutions of the parts
    """

    @staticmethod
    def suits(convolution: nn.Module) -> bool:
        """Tell whether it can be computed this way."""
        return isinstance(convolution, nn.Conv2d) and convolution.kernel_size == (1, 1) \
            and DirectConvolution.suits(convolution)

    def __init__(self, convolution: nn.Conv2d, channels: Sequence[int],
                 kind: type[DirectConvolution] = DirectConvolution) -> None:
        super().__init__()
        self.parts = nn.ModuleList()
        for weight in convolution.weight.detach().split(list(channels), 1):
            part = nn.Conv2d(weight.shape[1], convolution.out_channels, 1, bias=False)
            part.weight = nn.Parameter(weight, requires_grad=False)
            if not self.parts:
                part.bias = convolution.bias
            self.parts.append(kind(part))

    def forward(self, *features: torch.Tensor) -> torch.Tensor:
        """(B, C_i, h, w) each → (B, C_out, h, w)."""
        total = None
        for index, (part, x) in enumerate(zip(self.parts, features, strict=True)):
            total = finish(convolve(part, x, added=total,    # type: ignore[arg-type]
                                    relu=index == len(self.parts) - 1))
        assert total is not None
        return total
