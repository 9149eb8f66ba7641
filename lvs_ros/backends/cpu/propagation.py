# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What moves the key frame's features, on a CPU; for inference."""

import torch

from lvs_ros.backends.cpu import buffers
from lvs_ros.backends.cpu.library import LANES, are_readable, channels_last, native, pointer
from lvs_ros.ops.spatially_variant_convolution import (SpatiallyVariantConvolution,
                                                       check_shapes)
from lvs_ros.ops.warp import Warp


class NativeWarp(Warp):
    """Stands in for :class:`~lvs_ros.ops.warp.Warp`; channels in eights, else torch does it."""

    def forward(self, features: torch.Tensor, displacement: torch.Tensor) -> torch.Tensor:
        """See :func:`~lvs_ros.ops.warp.warp`; the result is channels last."""
        if features.shape[1] % LANES or not are_readable(features, displacement):
            return super().forward(features, displacement)
        batch, channels, height, width = features.shape
        result = buffers.empty(*features.shape)
        features, displacement = channels_last(features), displacement.contiguous()
        for index in range(batch):
            native().lvs_warp(
                pointer(features, index), pointer(displacement, index), pointer(result, index),
                height, width, channels, torch.get_num_threads())
        return result


class NativeSpatiallyVariantConvolution(SpatiallyVariantConvolution):
    """Stands in for
    :class:`~lvs_ros.ops.spatially_variant_convolution.SpatiallyVariantConvolution`: all taps of a
    position are added up in registers. Channels in eights, else torch does it.
    """

    def forward(self, features: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
        """Do the same as the reference; the result is channels last.

        :raises ValueError: when the shapes do not fit or K is even.
        """
        side = check_shapes(features, kernels)
        if features.shape[1] % LANES or not are_readable(features, kernels):
            return super().forward(features, kernels)
        batch, channels, height, width = features.shape
        result = buffers.empty(*features.shape)
        features, kernels = channels_last(features), channels_last(kernels)
        for index in range(batch):
            native().lvs_spatially_variant_convolution(
                pointer(features, index), pointer(kernels, index), pointer(result, index), height,
                width, channels, side, torch.get_num_threads())
        return result
