# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Convolutions on a GPU: bias, addition and ReLU are part of cuDNN's kernel.

As kernels of their own they would take as long as the convolutions of S_l: each is one more pass
over the features.

The kernel's ReLU may make 0 of NaN, where torch's keeps it. A network whose features could
overflow must not be computed this way: :mod:`lvs_ros.backends.cuda.prepare` looks.
"""

from typing import Callable, Optional

import torch
from torch import nn
from torch.nn import functional

from lvs_ros.backends.convolution import Convolution
from lvs_ros.backends.cuda.trial import reason_against
from lvs_ros.checkpoints import checkpoint, is_interruptible

Sides = tuple[int, ...]    # vertical, horizontal
Compute = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, Optional[torch.Tensor],
                    Sides, Sides, Sides], torch.Tensor]
"""Input, weight, bias, what is added, stride, padding, dilation → the result, after the ReLU."""

_MULTIPLE = 32    # channels of a piece: narrower ones leave most of a matrix product empty
_TRIED_SIZE = (9, 21)    # rows and columns


def in_one_kernel(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor,
                  added: Optional[torch.Tensor], stride: Sides, padding: Sides, dilation: Sides
                  ) -> torch.Tensor:
    """Convolve by cuDNN: addition and ReLU are part of the kernel."""
    if added is None:
        return torch.ops.aten.cudnn_convolution_relu(
            x, weight, bias, stride, padding, dilation, 1)
    return torch.ops.aten.cudnn_convolution_add_relu(
        x, weight, added, 1.0, bias, stride, padding, dilation, 1)


def in_several_kernels(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor,
                       added: Optional[torch.Tensor], stride: Sides, padding: Sides,
                       dilation: Sides) -> torch.Tensor:
    """Do the same one step after the other, on any device."""
    result = functional.conv2d(x, weight, bias, stride, padding, dilation)
    return (result if added is None else result.add_(added)).relu_()


class FusedConvolution(Convolution):
    """A convolution with its bias, an addition and a ReLU.

    :param convolution: on the device, in the type that it computes in; its weights are shared
    :param relu: negative results become 0; without, there is nothing to fuse
    :param compute: how it is done with a ReLU
    """

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, convolution: nn.Conv2d, *, relu: bool = False,
                 compute: Compute = in_several_kernels) -> None:
        super().__init__(convolution, relu=relu)
        weight, bias = convolution.weight.detach(), convolution.bias
        self.register_buffer('weight', weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer('bias', weight.new_zeros(self.out_channels) if bias is None
                             else bias.detach())
        self.compute = compute
        self.stride, self.dilation = convolution.stride, convolution.dilation
        self.padding = tuple(int(side) for side in convolution.padding)

    @property
    def kind(self) -> tuple[torch.Size, Sides, Sides, Sides]:
        """What cuDNN chooses a kernel by, but for the size of the image."""
        return self.weight.shape, self.stride, self.padding, self.dilation

    @property
    def work(self) -> float:
        return self.weight.numel()

    def forward(self, x: torch.Tensor, added: Optional[torch.Tensor] = None) -> torch.Tensor:
        """Convolve; where it may be interrupted, in pieces of the output channels.

        :param x: (B, C_in, H, W), in the type of the weights
        :param added: (B, C_out, H', W'), what is added to the result, before the ReLU
        :return: (B, C_out, H', W'), channels last
        """
        x = x.contiguous(memory_format=torch.channels_last)
        pieces = self.pieces if is_interruptible() else 1
        step = -(-self.out_channels // (pieces * _MULTIPLE)) * _MULTIPLE
        parts = []
        for first in range(0, self.out_channels, step):
            checkpoint()
            parts.append(self._part(x, added, slice(first, first + step)))
        result = parts[0] if len(parts) == 1 else torch.cat(parts, 1)
        return result.contiguous(memory_format=torch.channels_last)

    def _part(self, x: torch.Tensor, added: Optional[torch.Tensor], channels: slice
              ) -> torch.Tensor:
        weight, bias = self.weight[channels], self.bias[channels]
        added = None if added is None else added[:, channels]
        if self.relu:
            return self.compute(x, weight, bias, added, self.stride, self.padding, self.dilation)
        result = functional.conv2d(x, weight, bias, self.stride, self.padding, self.dilation)
        return result if added is None else result.add_(added)


def reason_against_one_kernel(layer: FusedConvolution, compute: Compute = in_one_kernel) -> str:
    """Compare one kernel with several, for a layer's weights; with and without an addition.

    :return: why it cannot be used; '' = it can
    """
    generator = torch.Generator().manual_seed(0)

    def features(channels: int, *size: int) -> torch.Tensor:
        return torch.randn(1, channels, *size, generator=generator).to(layer.weight).contiguous(
            memory_format=torch.channels_last)

    x = features(layer.in_channels, *_TRIED_SIZE)
    weights, geometry = (layer.weight, layer.bias), layer.kind[1:]
    shape = functional.conv2d(x, *weights, *geometry).shape
    for added in (None, features(*shape[1:])):
        expected = in_several_kernels(
            x.float(), layer.weight.float(), layer.bias.float(),
            None if added is None else added.float(), *geometry)
        # cuDNN takes its result's memory, as it comes, for an addition of weight zero.
        torch.full_like(expected, torch.nan, dtype=x.dtype)
        reason = reason_against(
            lambda: compute(x, *weights, added, *geometry), expected,  # noqa: B023
            tolerance=8 * _precision(x.dtype) * (1e-3 + float(expected.max())))
        if reason:
            return reason
    return ''


def _precision(dtype: torch.dtype) -> float:
    """Return the relative size of a rounding; of float32, which may be multiplied as TF32, too."""
    return max(torch.finfo(dtype).eps, 2 ** -10)
