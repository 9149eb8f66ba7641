# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the native convolutions have in common."""

import ctypes
import math
from typing import Optional

import torch
from torch import nn
from torch.nn import functional

from lvs_ros.backends.convolution import Convolution
from lvs_ros.backends.cpu import buffers
from lvs_ros.backends.cpu.library import are_readable, channels_last, native, pointer
from lvs_ros.checkpoints import checkpoint, is_interruptible

Addresses = tuple[int, int, int, Optional[int], int]


class NativeConvolution(Convolution):
    """A convolution by native kernels.

    :param convolution: float32, on the CPU; its weights are copied
    :param relu: negative results become 0
    """

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, convolution: nn.Conv2d, *, relu: bool = False) -> None:
        super().__init__(convolution, relu=relu)
        bias = torch.zeros(self.out_channels) if convolution.bias is None else convolution.bias
        self.register_buffer('bias', bias.detach().float().clone())

    def forward(self, x: torch.Tensor, added: Optional[torch.Tensor] = None) -> torch.Tensor:
        """Convolve.

        :param x: (B, C_in, H, W) float32
        :param added: (B, C_out, H', W'), what is added to the result, before the ReLU
        :return: (B, C_out, H', W'), channels last
        :raises ValueError: for tensors that do not fit.
        """
        size = self.check(x, added)
        library, threads = native(), torch.get_num_threads()
        x = channels_last(x)
        added = None if added is None else channels_last(added)
        result = buffers.empty(x.shape[0], self.out_channels, *size)
        units = self._units(library, size)
        # Every thread of a team can have equally many, but in the last piece.
        pieces = self.pieces if is_interruptible() else 1
        step = math.ceil(units / pieces / threads) * threads
        for index in range(x.shape[0]):
            addresses = (pointer(x, index), pointer(self.weight), pointer(self.bias),
                         None if added is None else pointer(added, index),
                         pointer(result, index))
            for first in range(0, units, step):
                checkpoint()
                self._compute(library, addresses, x.shape[2:], first, min(units, first + step),
                              threads)
        return result

    def check(self, x: torch.Tensor, added: Optional[torch.Tensor] = None) -> torch.Size:
        """Return the height and width of the result.

        :raises ValueError: for what the kernel, which sees addresses only, would misread.
        """
        size = self.result_size(x.shape[2:])
        if x.shape[1] != self.in_channels or min(size) < 1 or not are_readable(x):
            raise ValueError(f'input of shape {tuple(x.shape)}, {x.dtype} on {x.device}: expected '
                             f'{self.in_channels} channels, an image that is not smaller than the '
                             'kernel, float32 on the CPU')
        expected = (x.shape[0], self.out_channels, *size)
        if added is not None and (added.shape != expected or not are_readable(added)):
            raise ValueError(f'addition of shape {tuple(added.shape)}, {added.dtype}: expected '
                             f'{expected}, float32 on the CPU')
        return size

    @staticmethod
    def _in_panels(weight: torch.Tensor) -> torch.Tensor:
        """(N, depth, C_out) → (N, panels, depth, panel) float32, filled up with zeros."""
        panel = native().lvs_panel()
        missing = -weight.shape[2] % panel
        return functional.pad(weight, (0, missing)).float().unflatten(
            2, (-1, panel)).transpose(1, 2).contiguous()

    def result_size(self, size: torch.Size) -> torch.Size:
        """Return the height and width of the result."""
        raise NotImplementedError

    def _units(self, library: ctypes.CDLL, size: torch.Size) -> int:
        """Return how many units, of which pieces are made, a result of a size has."""
        raise NotImplementedError

    def _compute(self, library: ctypes.CDLL, addresses: Addresses, size: torch.Size, first: int,
                 last: int, threads: int) -> None:
        """Compute the units from first to last - 1.

        :param addresses: of an image, the weights, the bias, what is added, the result
        :param size: height and width of the image
        """
        raise NotImplementedError
