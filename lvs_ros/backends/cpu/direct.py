# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Convolutions on a CPU that are computed as they are written down."""

import ctypes

import torch
from torch import nn

from lvs_ros.backends.cpu.convolution import Addresses, NativeConvolution


class DirectConvolution(NativeConvolution):
    """A convolution of a square kernel.

    As fast as torch's (oneDNN), but what follows it is done in the same pass, and no thread has a
    fixed half of the work: where a core is busy with something else, the others take over.
    """

    prefix = 'lvs_'
    """Of the kernels for its arithmetic: the convolution, AdaptNet's fusion, the stem."""

    def __init__(self, convolution: nn.Conv2d, *, relu: bool = False) -> None:
        super().__init__(convolution, relu=relu)
        self.kernel, self.stride = convolution.kernel_size[0], convolution.stride[0]
        self.padding, self.dilation = int(convolution.padding[0]), convolution.dilation[0]
        self.register_buffer('weight', self._arranged(convolution.weight.detach()))

    def _arranged(self, weight: torch.Tensor) -> torch.Tensor:
        """(C_out, C_in, K, K) → in the order in which the kernel reads."""
        return self._in_panels(weight.permute(2, 3, 1, 0).flatten(0, 2)[None])

    @property
    def work(self) -> float:
        return self.kernel ** 2 * self.in_channels * self.out_channels

    def result_size(self, size: torch.Size) -> torch.Size:
        reach = self.dilation * (self.kernel - 1) + 1
        return torch.Size((side + 2 * self.padding - reach) // self.stride + 1 for side in size)

    def _units(self, library: ctypes.CDLL, size: torch.Size) -> int:
        return size[0]

    def _compute(self, library: ctypes.CDLL, addresses: Addresses, size: torch.Size, first: int,
                 last: int, threads: int) -> None:
        getattr(library, self.prefix + 'convolution')(
            *addresses, *size, self.in_channels, self.out_channels, self.kernel, self.stride,
            self.padding, self.dilation, int(self.relu), first, last, threads)
