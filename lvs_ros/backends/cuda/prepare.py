# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A network made ready for a GPU."""

import torch

from lvs_ros.backends import eager
from lvs_ros.model.network import SegmentationNetwork


def prepare(network: SegmentationNetwork, device: torch.device, dtype: torch.dtype) -> None:
    """Make a network ready for inference, in place.

    Triton comes with torch's CUDA builds for Linux; elsewhere torch computes everything.
    """
    eager.prepare(network, device, dtype)
    try:
        from lvs_ros.backends.cuda.spatially_variant_convolution import (
            TritonSpatiallyVariantConvolution, can_be_used)
    except ImportError:
        return
    config = network.config
    if can_be_used(device, dtype, config.head_channels, config.kernel_size):
        network.spatially_variant_convolution = TritonSpatiallyVariantConvolution()
