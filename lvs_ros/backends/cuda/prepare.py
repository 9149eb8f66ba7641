# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A network made ready for a GPU: kernels made for it in place of torch's.

Each is tried where it is to run, and left out where it fails or computes something else.
"""

from typing import Iterator
import warnings

import torch
from torch import nn

from lvs_ros.backends import eager
from lvs_ros.backends.cuda.convolution import (FusedConvolution, in_one_kernel,
                                               reason_against_one_kernel)
from lvs_ros.backends.swap import Swap
from lvs_ros.model.finite import check_network
from lvs_ros.model.network import SegmentationNetwork

_HEADROOM = 16    # times as large as on an ordinary image, features may become


def prepare(network: SegmentationNetwork, device: torch.device, dtype: torch.dtype) -> None:
    """Make a network ready for inference, in place.

    What torch computes although there is a faster kernel is told, with the reason, by a warning
    and by :attr:`~lvs_ros.model.network.SegmentationNetwork.fallbacks`.

    :raises ModelFileError: when its output on an ordinary image is not finite.
    """
    eager.prepare(network, device, dtype)
    network.fallbacks = [*_fuse_convolutions(network, dtype),
                         *_use_triton(network, device, dtype)]
    if network.fallbacks:
        warnings.warn(f'a frame takes longer than it could on {device}: '
                      + '; '.join(network.fallbacks))


class _Swap(Swap):
    def convolution(self, convolution: nn.Conv2d, *, relu: bool = False) -> FusedConvolution:
        return FusedConvolution(convolution, relu=relu)


def _fuse_convolutions(network: SegmentationNetwork, dtype: torch.dtype) -> list[str]:
    """Let one kernel compute each convolution with what follows it; return fallbacks."""
    largest = _largest_value(network)
    _Swap().children(network)
    text = 'convolution with bias, addition and ReLU: several kernels in place of one, in '
    if not largest * _HEADROOM < torch.finfo(dtype).max:
        return [f'{text}all layers (features of {largest:g} may overflow in {dtype}, which cuDNN '
                'could hide)']
    layers = [module for module in network.modules()
              if isinstance(module, FusedConvolution) and module.relu]
    reasons = {layer.kind: reason_against_one_kernel(layer, in_one_kernel)
               for layer in {layer.kind: layer for layer in layers}.values()}
    for layer in layers:
        if not reasons[layer.kind]:
            layer.compute = in_one_kernel
    failed = [reasons[layer.kind] for layer in layers if reasons[layer.kind]]
    return [f'{text}{len(failed)} of {len(layers)} layers ({failed[0]})'] if failed else []


def _largest_value(network: SegmentationNetwork) -> float:
    """Return the largest value that a convolution reads or writes, on ordinary images."""
    seen: list[torch.Tensor] = []

    def look(module: nn.Module, inputs: tuple[torch.Tensor], result: torch.Tensor) -> None:
        seen.extend(tensor.abs().max() for tensor in (*inputs, result))

    hooks = [module.register_forward_hook(look) for module in network.modules()
             if isinstance(module, nn.Conv2d)]
    check_network(network)
    for hook in hooks:
        hook.remove()
    return float(torch.stack(seen).max())


def _use_triton(network: SegmentationNetwork, device: torch.device, dtype: torch.dtype
                ) -> list[str]:
    """Put in modules that are written in Triton; return fallbacks.

    Triton comes with torch's CUDA builds for Linux.
    """
    try:
        import triton  # noqa: F401
    except ImportError as error:
        return [f'all kernels written in Triton: torch in their place ({error})']
    fallbacks = []
    for name, attribute, module, reason in _triton_modules(network, device, dtype):
        if reason:
            fallbacks.append(f'{name}: torch in place of the Triton kernel ({reason})')
        else:
            setattr(network, attribute, module)
    return fallbacks


def _triton_modules(network: SegmentationNetwork, device: torch.device, dtype: torch.dtype
                    ) -> Iterator[tuple[str, str, nn.Module, str]]:
    """Return what it is, the network's attribute, the module, and what speaks against it."""
    from lvs_ros.backends.cuda import (label_map, normalisation, spatially_variant_convolution,
                                       warp)
    config = network.config
    channels, corners = config.head_channels, config.align_corners
    normalise = normalisation.TritonNormalisation(config.mean, config.std, dtype)
    yield ('normalisation', 'normalise', normalise,
           normalisation.reason_against_normalisation(normalise, device))
    yield ('spatially variant convolution', 'spatially_variant_convolution',
           spatially_variant_convolution.TritonSpatiallyVariantConvolution(),
           spatially_variant_convolution.reason_against_convolution(
               device, dtype, channels, config.kernel_size))
    yield ('warp', 'warp', warp.TritonWarp(),
           warp.reason_against_warp(device, dtype, channels)
           or warp.reason_against_warp(device, dtype, config.embed_channels))
    yield ('label map', 'label_map', label_map.TritonLabelMap(align_corners=corners),
           label_map.reason_against_labels(device, torch.float32, config.classes,
                                           align_corners=corners))
