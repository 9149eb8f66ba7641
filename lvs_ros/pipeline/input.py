# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""From a frame to the tensor that the network reads."""

import dataclasses

import cv2
import numpy as np
import torch

from lvs_ros.backends.cuda.transfer import to_device
from lvs_ros.errors import ImageError
from lvs_ros.ops.geometry import aligned_size
from lvs_ros.pipeline.frame import Frame

SMALLEST = 16    # pixels a side; below this nothing is left at an eighth of the size


@dataclasses.dataclass(frozen=True)
class FittedFrame:
    """A frame as network and optical flow see it.

    :param frame: scaled, and padded to a size that features fit exactly
    :param content: (height, width) of it that are image; what is right of that and below is
        padding
    :param original_size: (width, height) of the camera's image
    """

    frame: Frame
    content: tuple[int, int]
    original_size: tuple[int, int]


def fit(frame: Frame, *, size: tuple[int, int], align_corners: bool) -> FittedFrame:
    """Scale a frame and repeat its border up to :func:`~lvs_ros.ops.geometry.aligned_size`.

    :param frame: a checked frame
    :param size: (width, height) to scale to
    :param align_corners: of the network
    :return: the same frame where nothing is to be done
    :raises ImageError: for an image that is too small.
    """
    if min(size) < SMALLEST:
        raise ImageError(f'image of {size[0]}x{size[1]} pixels: expected at least '
                         f'{SMALLEST}x{SMALLEST}')
    image, original_size = frame.image, frame.size
    if size != frame.size:
        shrinks = size[0] < frame.size[0] and size[1] < frame.size[1]
        image = cv2.resize(np.ascontiguousarray(image), size,
                           interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    (width, height), padded = size, aligned_size(size, align_corners=align_corners)
    if padded != size:
        image = cv2.copyMakeBorder(np.ascontiguousarray(image), 0, padded[1] - height, 0,
                                   padded[0] - width, cv2.BORDER_REPLICATE)
    if image is not frame.image:
        frame = dataclasses.replace(frame, image=image)
    return FittedFrame(frame, (height, width), original_size)


def to_tensor(frame: Frame, *, device: torch.device) -> torch.Tensor:
    """Bring a frame to the device; on a CPU, in its own memory where that has the layout.

    :param frame: a checked frame
    :return: (1, 3, H, W) uint8, RGB, channels last
    """
    image = frame.image if frame.image.ndim == 3 else frame.image[:, :, None]
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
