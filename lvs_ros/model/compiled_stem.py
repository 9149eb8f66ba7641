# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A ResNet's stem on a CPU: the image is normalised, convolved and pooled in one pass."""

from typing import cast

import torch
from torch import nn

from lvs_ros.model.convolution import Stem
from lvs_ros.model.direct_convolution import DirectConvolution
from lvs_ros.native import buffers
from lvs_ros.native.library import CHANNELS, channels_last, operators, pointer

_POOLING = (3, 2, 1)    # size, stride, padding


class CompiledStem(nn.Module):
    """Stands in for normalisation and stem; for inference.

    :param stem: of one convolution, with its batch norm folded in; its weights are copied
    :param mean: (1, 3, 1, 1), taken off the image
    :param std: (1, 3, 1, 1), what it is divided by
    :param kind: of its convolution
    """

    scale: torch.Tensor
    shift: torch.Tensor

    @staticmethod
    def suits(stem: Stem) -> bool:
        """Tell whether it can be computed this way."""
        convolution, pool = stem[0], stem[-1]
        return (len(stem) == 4 and isinstance(stem[1], nn.Identity)
                and isinstance(convolution, nn.Conv2d) and DirectConvolution.suits(convolution)
                and convolution.dilation == (1, 1)
                and convolution.in_channels == 3 and convolution.out_channels % CHANNELS == 0
                and convolution.stride[0] <= convolution.kernel_size[0]
                and isinstance(pool, nn.MaxPool2d) and not pool.ceil_mode
                and (pool.kernel_size, pool.stride, pool.padding) == _POOLING)

    def __init__(self, stem: Stem, mean: torch.Tensor, std: torch.Tensor,
                 kind: type[DirectConvolution] = DirectConvolution) -> None:
        super().__init__()
        self.convolution = kind(cast(nn.Conv2d, stem[0]))
        self.register_buffer('scale', (1 / std).flatten().float())
        self.register_buffer('shift', (-mean / std).flatten().float())

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
        compute = getattr(operators(), inner.stem_operator)
        image = channels_last(image)
        result = buffers.empty(len(image), inner.out_channels, (rows + 1) // 2,
                               (columns + 1) // 2)
        for index in range(len(image)):
            compute(pointer(image, index), pointer(self.scale), pointer(self.shift),
                    pointer(inner.weight), pointer(inner.bias), pointer(result, index),
                    int(image.dtype == torch.uint8), height, width, inner.out_channels,
                    inner.kernel, inner.stride, inner.padding, torch.get_num_threads())
        return result
