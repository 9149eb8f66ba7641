# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Convolutions on a CPU that are computed as they are written down."""

import ctypes

import torch
from torch import nn

from lvs_ros.model.compiled_convolution import Addresses, CompiledConvolution, is_compilable


class DirectConvolution(CompiledConvolution):
    """A convolution of a square kernel.

    As fast as torch's (oneDNN), but what follows it is done in the same pass, and no thread has a
    fixed half of the work: where a core is busy with something else, the others take over.
    """

    operator = 'lvs_convolution'
    """Name of the compiled operator."""

    fusion_operator = 'lvs_fusion'
    """Name of the one that corrects propagated features by such convolutions."""

    stem_operator = 'lvs_stem'
    """Name of the one that computes a stem with the same weights."""

    @staticmethod
    def suits(convolution: nn.Conv2d) -> bool:
        """Tell whether it can be computed this way."""
        return is_compilable(convolution) and all(
            len(set(pair)) == 1 and not isinstance(pair, str) for pair in (
                convolution.kernel_size, convolution.stride, convolution.padding,
                convolution.dilation))

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__(convolution)
        self.kernel, self.stride = convolution.kernel_size[0], convolution.stride[0]
        self.padding, self.dilation = int(convolution.padding[0]), convolution.dilation[0]
        self.register_buffer('weight', self._arranged(convolution.weight.detach()))

    def _arranged(self, weight: torch.Tensor) -> torch.Tensor:
        """(C_out, C_in, K, K) → in the order in which the operator reads."""
        return self._in_panels(weight.permute(2, 3, 1, 0).flatten(0, 2)[None])

    @property
    def work(self) -> float:
        return self.kernel ** 2 * self.in_channels * self.out_channels

    def result_size(self, size: torch.Size) -> torch.Size:
        reach = self.dilation * (self.kernel - 1) + 1
        return torch.Size((side + 2 * self.padding - reach) // self.stride + 1 for side in size)

    def _units(self, native: ctypes.CDLL, size: torch.Size) -> int:
        return size[0]

    def _compute(self, native: ctypes.CDLL, addresses: Addresses, size: torch.Size, relu: int,
                 first: int, last: int, threads: int) -> None:
        getattr(native, self.operator)(
            *addresses, *size, self.in_channels, self.out_channels, self.kernel, self.stride,
            self.padding, self.dilation, relu, first, last, threads)
