# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Convolutions on a CPU that Winograd's algorithm is not for: other kernels than 3x3, strides."""

import ctypes

import torch
from torch import nn

from lvs_ros.model.compiled_convolution import Addresses, CompiledConvolution, is_compilable


class DirectConvolution(CompiledConvolution):
    """A convolution of a square kernel without dilation.

    As fast as torch's (oneDNN), but what follows it is done in the same pass, and no thread has a
    fixed half of the work: where a core is busy with something else, the others take over.
    """

    @staticmethod
    def suits(convolution: nn.Conv2d) -> bool:
        """Tell whether it can be computed this way."""
        return (is_compilable(convolution) and convolution.dilation == (1, 1)
                and all(len(set(pair)) == 1 and not isinstance(pair, str) for pair in (
                    convolution.kernel_size, convolution.stride, convolution.padding)))

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__(convolution)
        self.kernel, self.stride = convolution.kernel_size[0], convolution.stride[0]
        self.padding = int(convolution.padding[0])
        weight = convolution.weight.detach().permute(2, 3, 1, 0).flatten(0, 2)
        self.register_buffer('weight', self._in_panels(weight[None]))

    @property
    def work(self) -> float:
        return self.kernel ** 2 * self.in_channels * self.out_channels

    def result_size(self, size: torch.Size) -> torch.Size:
        return torch.Size((side + 2 * self.padding - self.kernel) // self.stride + 1
                          for side in size)

    def _units(self, native: ctypes.CDLL, size: torch.Size) -> int:
        return size[0]

    def _compute(self, native: ctypes.CDLL, addresses: Addresses, size: torch.Size, relu: int,
                 first: int, last: int, threads: int) -> None:
        native.lvs_convolution(
            *addresses, *size, self.in_channels, self.out_channels, self.kernel, self.stride,
            self.padding, relu, first, last, threads)
