# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""From a frame to the tensor that the network reads."""

import cv2
import numpy as np
import torch

from lvs_ros.errors import ImageError
from lvs_ros.pipeline.frame import Frame
from lvs_ros.pipeline.transfer import to_device

SMALLEST = 16    # pixels a side; below this nothing is left at an eighth of the size


def to_tensor(frame: Frame, *, size: tuple[int, int], device: torch.device) -> torch.Tensor:
    """Bring a frame to the device; on a CPU, in its own memory where that has the layout.

    :param frame: a checked frame
    :param size: (width, height) to scale to; (0, 0) = the frame's own
    :return: (1, 3, H, W) uint8, RGB, channels last
    :raises ImageError: for an image that is too small.
    """
    image = frame.image if frame.image.ndim == 3 else frame.image[:, :, None]
    if size != (0, 0) and size != frame.size:
        shrinks = size[0] < image.shape[1] and size[1] < image.shape[0]
        image = cv2.resize(np.ascontiguousarray(image), size,
                           interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        image = image if image.ndim == 3 else image[:, :, None]
    if min(image.shape[:2]) < SMALLEST:
        raise ImageError(f'image of {image.shape[1]}x{image.shape[0]} pixels: expected at least '
                         f'{SMALLEST}x{SMALLEST}')
    if not image.flags.writeable:    # torch would warn of it, although nothing is written
        image = image.copy()
    tensor = to_device(torch.from_numpy(image), device)
    if frame.order == 'mono':
        tensor = tensor.expand(-1, -1, 3)
    elif frame.order in ('bgr', 'bgra'):
        tensor = tensor[:, :, :3].flip(2)
    else:
        tensor = tensor[:, :, :3]
    # (H, W, 3) seen as (1, 3, H, W) is the channels-last layout already
    return tensor.permute(2, 0, 1)[None].contiguous(memory_format=torch.channels_last)


def shares_memory(tensor: torch.Tensor, frame: Frame) -> bool:
    """Tell whether the result of :func:`to_tensor` is, or may be, a view on the frame's memory."""
    return tensor.device.type == 'cpu' and np.may_share_memory(tensor.numpy(), frame.image)
