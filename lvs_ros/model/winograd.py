# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""3x3 convolutions on a CPU with a quarter of the multiplications.

F(4x4, 3x3) of Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016: the
image and the weights are transformed so that 4x4 results take 36 multiplications a channel in
place of 144. The same function, but for rounding (about ten times that of plain float32).
"""

import math
from typing import Optional

import torch
from torch import nn
from torch.nn import functional

from lvs_ros.model.steps import Steps, finish
from lvs_ros.native.library import CHANNELS, library, pixels_first, pointer

_VALUES = 36
_WEIGHTS = torch.tensor([    # G of the paper
    [1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]], dtype=torch.float64)


class WinogradConvolution(nn.Module):
    """Stands in for a convolution that :func:`suits`; for inference.

    :param convolution: its weights are copied
    """

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.in_channels, self.out_channels = convolution.in_channels, convolution.out_channels
        self.dilation = convolution.dilation[0]
        native = library()
        assert native is not None
        panel = native.lvs_winograd_panel()
        panels = math.ceil(self.out_channels / panel)
        transformed = torch.einsum('ik, jl, ockl -> ijco', _WEIGHTS, _WEIGHTS,
                                   convolution.weight.detach().double())
        padded = functional.pad(transformed, (0, panels * panel - self.out_channels))
        self.register_buffer('weight', padded.float().view(
            _VALUES, self.in_channels, panels, panel).transpose(1, 2).contiguous())
        bias = torch.zeros(self.out_channels) if convolution.bias is None else convolution.bias
        self.register_buffer('bias', bias.detach().float().clone())

    @property
    def work(self) -> float:
        """Multiplications a position of the image."""
        return self.weight.numel() / 16

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C_in, H, W) float32 → (B, C_out, H, W), channels last."""
        return finish(self.steps(x))

    def steps(self, x: torch.Tensor, count: int = 1, *, added: Optional[torch.Tensor] = None,
              relu: bool = False) -> Steps:
        """Compute in at most so many steps an image.

        :param x: (B, C_in, H, W) float32
        :param added: (B, C_out, H, W), what is added to the result
        :param relu: negative results become 0, after the addition
        """
        native, threads = library(), torch.get_num_threads()
        assert native is not None
        batch, _, height, width = x.shape
        result = torch.empty((batch, self.out_channels, height, width),
                             memory_format=torch.channels_last)
        blocks = native.lvs_winograd_blocks(height, width, self.dilation)
        # All threads of a team have equally many blocks, but in the last part.
        size = math.ceil(blocks / count / threads) * threads
        for index in range(batch):
            source = pixels_first(x[index])
            onto = None if added is None else pixels_first(added[index])
            for first in range(0, blocks, size):
                if index or first:
                    yield
                native.lvs_winograd(
                    pointer(source), pointer(self.weight), pointer(self.bias), pointer(onto),
                    pointer(result[index]), height, width, self.in_channels, self.out_channels,
                    self.dilation, int(relu), first, min(blocks, first + size), threads)
        return result


def suits(convolution: nn.Conv2d) -> bool:
    """Tell whether a convolution can be computed this way here: 3x3 with "same" padding."""
    dilation = convolution.dilation
    return (library() is not None and convolution.kernel_size == (3, 3)
            and convolution.stride == (1, 1) and dilation[0] == dilation[1]
            and convolution.padding == dilation and convolution.padding_mode == 'zeros'
            and convolution.groups == 1 and convolution.weight.dtype == torch.float32
            and convolution.weight.device.type == 'cpu'
            and convolution.in_channels % CHANNELS == convolution.out_channels % CHANNELS == 0)


def use_winograd(module: nn.Module) -> None:
    """Replace all convolutions that suit, in place, all the way down."""
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d) and suits(child):
            setattr(module, name, WinogradConvolution(child))
        else:
            use_winograd(child)
