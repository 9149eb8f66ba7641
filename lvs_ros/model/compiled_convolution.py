# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the convolutions in C++ have in common."""

import ctypes
import math
from typing import Optional

import torch
from torch import nn
from torch.nn import functional

from lvs_ros.model.steps import Steps, finish
from lvs_ros.native import buffers
from lvs_ros.native.library import channels_last, is_readable, operators, pointer

Addresses = tuple[int, int, int, Optional[int], int]


def is_compilable(convolution: nn.Conv2d) -> bool:
    """Tell what all of them ask for: one group, zeros around the image, weights they can read."""
    return (convolution.groups == 1 and convolution.padding_mode == 'zeros'
            and is_readable(convolution.weight))


class CompiledConvolution(nn.Module):
    """Stands in for a convolution on a CPU; for inference.

    :param convolution: its weights are copied
    """

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.in_channels, self.out_channels = convolution.in_channels, convolution.out_channels
        bias = torch.zeros(self.out_channels) if convolution.bias is None else convolution.bias
        self.register_buffer('bias', bias.detach().float().clone())

    @property
    def work(self) -> float:
        """Multiplications a position of the result."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C_in, H, W) float32 → (B, C_out, H', W'), channels last."""
        return finish(self.steps(x))

    def steps(self, x: torch.Tensor, count: int = 1, *, added: Optional[torch.Tensor] = None,
              relu: bool = False) -> Steps:
        """Compute in at most so many steps an image.

        :param x: (B, C_in, H, W) float32
        :param added: (B, C_out, H', W'), what is added to the result
        :param relu: negative results become 0, after the addition
        :raises ValueError: for tensors that do not fit.
        """
        size = self.check(x, added)
        native, threads = operators(), torch.get_num_threads()
        x = channels_last(x)
        added = None if added is None else channels_last(added)
        result = buffers.empty(x.shape[0], self.out_channels, *size)
        units = self._units(native, size)
        # Every thread of a team can have equally many, but in the last step.
        part = math.ceil(units / count / threads) * threads
        for index in range(x.shape[0]):
            addresses = (pointer(x, index), pointer(self.weight), pointer(self.bias),
                         None if added is None else pointer(added, index),
                         pointer(result, index))
            for first in range(0, units, part):
                if index or first:
                    yield
                self._compute(native, addresses, x.shape[2:], int(relu), first,
                              min(units, first + part), threads)
        return result

    def check(self, x: torch.Tensor, added: Optional[torch.Tensor] = None) -> torch.Size:
        """Return the height and width of the result of :meth:`steps`.

        :raises ValueError: for what the operator, which sees addresses only, would misread.
        """
        size = self.result_size(x.shape[2:])
        if x.shape[1] != self.in_channels or min(size) < 1:
            raise ValueError(f'input of shape {tuple(x.shape)}: expected {self.in_channels} '
                             'channels, and an image that is not smaller than the kernel')
        if added is not None and added.shape != (x.shape[0], self.out_channels, *size):
            raise ValueError(f'addition of shape {tuple(added.shape)}: expected '
                             f'{(x.shape[0], self.out_channels, *size)}')
        for tensor in (x, added):
            if tensor is not None and not is_readable(tensor):
                raise ValueError(f'{tensor.dtype} on {tensor.device}: expected float32 on the CPU')
        return size

    @staticmethod
    def _in_panels(weight: torch.Tensor) -> torch.Tensor:
        """(N, depth, C_out) → (N, panels, depth, panel) float32, filled up with zeros."""
        panel = operators().lvs_panel()
        missing = -weight.shape[2] % panel
        return functional.pad(weight, (0, missing)).float().unflatten(
            2, (-1, panel)).transpose(1, 2).contiguous()

    def result_size(self, size: torch.Size) -> torch.Size:
        """Return the height and width of the result."""
        raise NotImplementedError

    def _units(self, native: ctypes.CDLL, size: torch.Size) -> int:
        """Return how many pieces a result of a size is computed in."""
        raise NotImplementedError

    def _compute(self, native: ctypes.CDLL, addresses: Addresses, size: torch.Size, relu: int,
                 first: int, last: int, threads: int) -> None:
        """Compute the pieces from first to last - 1.

        :param addresses: of an image, the weights, the bias, what is added, the result
        :param size: height and width of the image
        """
        raise NotImplementedError
