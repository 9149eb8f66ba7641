# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where the positions of features lie among the pixels of an image.

Features have a position for every 8 pixels. Position and pixel agree over the whole image only
where its sides are multiples of 8 or, with aligned corners, one more than that. Images of other
sizes are padded to the next such size, at the right and at the bottom, by repeating the border;
what is computed of the padding is cropped.
"""

import operator
from typing import Sequence

import torch
from torch.nn import functional

from lvs_ros.ops.resampling import interpolate

STRIDE = 8    # pixels from position to position


def aligned_size(size: tuple[int, int], *, align_corners: bool) -> tuple[int, int]:
    """Return the next larger size at which positions and pixels agree, or the same size.

    :param size: of an image, (width, height) or (height, width)
    :param align_corners: how the network's logits are upsampled
    """
    extra = int(align_corners)
    first, second = (-(-(side - extra) // STRIDE) * STRIDE + extra for side in size)
    return first, second


def pad_image(image: torch.Tensor, *, align_corners: bool) -> torch.Tensor:
    """Repeat the border at the right and at the bottom up to :func:`aligned_size`.

    :param image: (B, 3, H, W), any dtype
    :return: (B, 3, H', W'), the same tensor where the size is aligned already
    """
    height, width = image.shape[2:]
    wanted = aligned_size((height, width), align_corners=align_corners)
    if wanted == (height, width):
        return image
    rows, columns = (torch.arange(large, device=image.device).clamp(max=small - 1)
                     for large, small in zip(wanted, (height, width)))
    padded = image.index_select(2, rows).index_select(3, columns)
    return padded.contiguous(memory_format=torch.channels_last)


def upsample(features: torch.Tensor, size: tuple[int, int], *, content: tuple[int, int],
             align_corners: bool) -> torch.Tensor:
    """Interpolate bilinearly between the positions of features, without those of the padding.

    :param features: (B, C, h, w) of an image that was padded to :func:`aligned_size`; a position
        for every 8 pixels, or for fewer
    :param size: (height, width) of the result
    :param content: (height, width) of the image before it was padded
    :param align_corners: as for :func:`torch.nn.functional.interpolate`
    :return: (B, C, height, width)
    """
    if size == content:
        whole = aligned_size(content, align_corners=align_corners)
        return interpolate(features, *whole, align_corners=align_corners)[:, :, :size[0], :size[1]]
    shift, scales = pixel_scales(size, content, positions=features.shape[2:],
                                 align_corners=align_corners)
    # In a dimension of as many pixels as positions, torch copies and overlooks the scale.
    if not align_corners and all(map(operator.ne, size, features.shape[2:])):
        # With scales of its own: those of the sizes would have the padding in them.
        return torch.ops.aten.upsample_bilinear2d(
            features, size, False, 1 / scales[0], 1 / scales[1])
    y, x = ((torch.arange(pixels, device=features.device, dtype=features.dtype) + shift)
            * (2 * scale / max(1, positions - 1)) - (2 * shift / max(1, positions - 1) + 1)
            for pixels, scale, positions in zip(size, scales, features.shape[2:]))
    grid = torch.stack(torch.meshgrid(x, y, indexing='xy'), -1)
    return functional.grid_sample(features, grid.expand(len(features), -1, -1, -1),
                                  mode='bilinear', padding_mode='border', align_corners=True)


def pixel_scales(size: tuple[int, int], content: tuple[int, int], *, positions: Sequence[int],
                 align_corners: bool) -> tuple[float, tuple[float, float]]:
    """Return shift and scales: pixel p of a result is at position (p + shift) * scale - shift.

    :param size: of the result
    :param positions: (h, w) of the features, of all of the padded image
    :param content: as for :func:`upsample`, and ``align_corners``
    """
    extra = int(align_corners)
    first, second = (
        (inner - extra) * ((count - extra) / max(1, whole - extra)) / max(1, pixels - extra)
        for inner, pixels, count, whole in zip(
            content, size, positions, aligned_size(content, align_corners=align_corners)))
    return (1 - extra) / 2, (first, second)
