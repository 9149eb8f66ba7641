# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""3x3 convolutions on a CPU with a quarter of the multiplications.

F(4x4, 3x3) of Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016: the
image and the weights are transformed so that 4x4 results take 36 multiplications a channel in
place of 144. The same function, but for rounding (about ten times that of plain float32).
"""

import ctypes

import torch
from torch import nn

from lvs_ros.backends.cpu.convolution import Addresses, NativeConvolution
from lvs_ros.backends.cpu.library import LANES

_VALUES, _TILE = 36, 16    # that a tile is transformed to; pixels that come out
_WEIGHTS = torch.tensor([    # G of the paper
    [1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]], dtype=torch.float64)


class WinogradConvolution(NativeConvolution):
    """A 3x3 convolution of any dilation without a stride."""

    @staticmethod
    def suits(convolution: nn.Conv2d) -> bool:
        """Tell whether it can be computed this way: "same" padding, channels in eights."""
        return (convolution.kernel_size == (3, 3) and convolution.stride == (1, 1)
                and convolution.padding == convolution.dilation
                and convolution.dilation[0] == convolution.dilation[1]
                and convolution.in_channels % LANES == 0
                and convolution.out_channels % LANES == 0)

    def __init__(self, convolution: nn.Conv2d, *, relu: bool = False) -> None:
        super().__init__(convolution, relu=relu)
        self.dilation = convolution.dilation[0]
        transformed = torch.einsum('ik, jl, ockl -> ijco', _WEIGHTS, _WEIGHTS,
                                   convolution.weight.detach().double())
        self.register_buffer('weight', self._in_panels(transformed.flatten(0, 1)))

    @property
    def work(self) -> float:
        return self.in_channels * self.out_channels * _VALUES / _TILE

    def result_size(self, size: torch.Size) -> torch.Size:
        return size

    def _units(self, library: ctypes.CDLL, size: torch.Size) -> int:
        return library.lvs_winograd_blocks(*size, self.dilation)

    def _compute(self, library: ctypes.CDLL, addresses: Addresses, size: torch.Size, first: int,
                 last: int, threads: int) -> None:
        library.lvs_winograd(
            *addresses, *size, self.in_channels, self.out_channels, self.dilation,
            int(self.relu), first, last, threads)
