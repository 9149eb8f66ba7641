# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A ResNet's stem on a CPU: the image is normalised, convolved and pooled in one pass."""

from typing import cast

import torch
from torch import nn

from lvs_ros.backends.cpu import buffers
from lvs_ros.backends.cpu.direct import DirectConvolution
from lvs_ros.backends.cpu.library import LANES, channels_last, native, pointer
from lvs_ros.checkpoints import checkpoint
from lvs_ros.model.normalisation import Normalisation


class NativeStem(nn.Module):
    """Stands in for normalisation and stem; for inference.

    :param stem: of one convolution, with its batch norm folded in; its weights are copied
    :param normalisation: what comes before it
    :param kind: of its convolution
    """

    scale: torch.Tensor
    shift: torch.Tensor

    @staticmethod
    def suits(stem: nn.Sequential) -> bool:
        """Tell whether it can be computed this way: one convolution, channels in eights."""
        return len(stem) == 4 and cast(nn.Conv2d, stem[0]).out_channels % LANES == 0

    def __init__(self, stem: nn.Sequential, normalisation: Normalisation,
                 kind: type[DirectConvolution] = DirectConvolution) -> None:
        super().__init__()
        self.convolution = kind(cast(nn.Conv2d, stem[0]))
        std = normalisation.std
        self.register_buffer('scale', (1 / std).flatten().float())
        self.register_buffer('shift', (-normalisation.mean / std).flatten().float())

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Compute the stem of an image as it comes.

        :param image: (B, 3, H, W) uint8 or float32 on the CPU, RGB, 0..255
        :return: (B, C_out, H/4, W/4) float32, channels last
        :raises ValueError: for another tensor, or one that is smaller than the kernel.
        """
        inner = self.convolution
        height, width = image.shape[2:]
        rows, columns = inner.result_size(image.shape[2:])
        if (image.shape[1] != 3 or image.device.type != 'cpu' or min(rows, columns) < 1
                or image.dtype not in (torch.uint8, torch.float32)):
            raise ValueError(f'image of shape {tuple(image.shape)}, {image.dtype} on '
                             f'{image.device}: expected (B, 3, H, W) uint8 or float32 on the CPU, '
                             'not smaller than the kernel')
        checkpoint()
        compute = getattr(native(), inner.prefix + 'stem')
        image = channels_last(image)
        result = buffers.empty(len(image), inner.out_channels, (rows + 1) // 2,
                               (columns + 1) // 2)
        for index in range(len(image)):
            compute(pointer(image, index), pointer(self.scale), pointer(self.shift),
                    pointer(inner.weight), pointer(inner.bias), pointer(result, index),
                    int(image.dtype == torch.uint8), height, width, inner.out_channels,
                    inner.kernel, inner.stride, inner.padding, torch.get_num_threads())
        return result
