# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whether what a network computes is finite: numbers, neither NaN nor infinite."""

from typing import Mapping, Optional

import torch

from lvs_ros.errors import ModelFileError
from lvs_ros.model.network import SegmentationNetwork

_SIDE = 64    # pixels of the image that a network is tried on: ResNet-101 takes half a second


def extremes(tensor: torch.Tensor) -> torch.Tensor:
    """Return the smallest and the largest value, (2,) float32; NaN where there is one.

    They are finite where all values are: nothing is added up that could overflow. One pass, and
    no synchronisation with a GPU.
    """
    if not tensor.is_contiguous():
        tensor = tensor.permute(0, 2, 3, 1)    # channels last has no gaps then, and is not copied
    return torch.stack(torch.aminmax(tensor)).float()


def first_not_finite(tensors: Mapping[str, torch.Tensor]) -> Optional[str]:
    """Return the name of the first tensor that has NaN or infinity; None = all are finite."""
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            return name
    return None


@torch.inference_mode()
def check_network(network: SegmentationNetwork) -> None:
    """Run all parts of a network on two small images, as a stream of frames does.

    To be called with the network as it will run: weights that fit into float32 may overflow in
    float16, or when batch norm is folded into them.

    :raises ModelFileError: naming the first part whose output is not finite.
    """
    outputs = network.outputs(*_images(network.device))
    name = first_not_finite(outputs)
    if name is not None:
        dtype = str(next(iter(outputs.values())).dtype).removeprefix('torch.')
        raise ModelFileError(
            f'{network.origin}: of an ordinary image, {name} are not finite in {dtype}: the '
            'weights, or mean and std of the configuration, are damaged or too large for that '
            'precision; use another file, or precision float32')


def _images(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two images of coloured blocks with noise on them, (1, 3, H, W) uint8, always alike.

    The second one is the first, moved.
    """
    random = torch.Generator().manual_seed(1)
    blocks = torch.randint(0, 256, (1, 3, _SIDE // 8, _SIDE // 8), generator=random)
    noise = torch.randint(-32, 33, (1, 3, _SIDE, _SIDE), generator=random)
    image = (blocks.repeat_interleave(8, 2).repeat_interleave(8, 3) + noise).clamp(0, 255)
    image = image.to(device, torch.uint8).contiguous(memory_format=torch.channels_last)
    return image, image.roll((3, 5), (2, 3))
