# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Augmentation of whole batches on the training device.

A *view* is a sampling grid: where in the source frame each pixel of the training crop is read.
Moving the camera is moving the view, so one labelled frame that stands alone becomes a short
piece of video by reading it through several views.
"""

import dataclasses
import math
from typing import Optional

import torch
from torch.nn import functional

from lvs_ros.labels import UNLABELLED


@dataclasses.dataclass(frozen=True)
class CropRange:
    """How far the geometric augmentation goes.

    :param stretch: largest ratio of the zoom in width to that in height, or the other way round
    """

    zoom: tuple[float, float] = (0.65, 2.2)
    rotation_deg: float = 4.0
    stretch: float = 1.15


def random_views(count: int, height: int, width: int, device: torch.device,
                 crop: CropRange, *, frame: Optional[tuple[int, int]] = None) -> torch.Tensor:
    """Random zoom, stretching, rotation, flip and position.

    :param height: of the crop, and width
    :param frame: (height, width) of the frames; None = the crop's. At zoom 1 the crop has the
        frame's scale, or a larger one where the frame is too small to fill it.
    :return: (count, 2, 3) float32, maps crop coordinates to frame coordinates, both -1..1
    """
    uniform = torch.rand(count, 6, device=device)
    low, high = math.log(crop.zoom[0]), math.log(crop.zoom[1])
    scale = torch.exp(-(low + (high - low) * uniform[:, 0]))   # frame pixels a crop pixel
    angle = (uniform[:, 1] * 2 - 1) * math.radians(crop.rotation_deg)
    flip = torch.where(uniform[:, 2] < 0.5, -1.0, 1.0)
    frame_height, frame_width = frame or (height, width)
    stretch = torch.exp((uniform[:, 5] - 0.5) * math.log(crop.stretch))
    scale_x, scale_y = scale * stretch, scale / stretch
    upsampled = max(1.0, height / frame_height, width / frame_width)
    tall, wide = height / upsampled, width / upsampled
    cos, sin = angle.cos(), angle.sin()
    place_x = (uniform[:, 3] * 2 - 1) * (1 - scale_x * wide / frame_width).abs()
    place_y = (uniform[:, 4] * 2 - 1) * (1 - scale_y * tall / frame_height).abs()
    row_x = torch.stack((cos * scale_x * flip * wide, -sin * scale_y * tall,
                         place_x * frame_width), 1) / frame_width
    row_y = torch.stack((sin * scale_x * flip * wide, cos * scale_y * tall,
                         place_y * frame_height), 1) / frame_height
    return torch.stack((row_x, row_y), 1)


def grid_of(views: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Apply (B, 2, 3) views to points (B, H, W, 2); the result is a sampling grid."""
    return torch.einsum('bij,bhwj->bhwi', views[:, :, :2], points) + views[:, None, None, :, 2]


def pixel_points(count: int, height: int, width: int, device: torch.device) -> torch.Tensor:
    """The pixel centres of the crop, (count, H, W, 2), x and y in -1..1."""
    identity = torch.eye(2, 3, device=device).expand(count, 2, 3)
    return functional.affine_grid(identity, [count, 1, height, width], align_corners=False)


def look(images: torch.Tensor, labels: torch.Tensor, grid: torch.Tensor
         ) -> tuple[torch.Tensor, torch.Tensor]:
    """Read frames through sampling grids.

    :param labels: (B, H, W), of any integers
    :return: images (B, 3, H, W), grey outside; labels (B, H, W) int64, unlabelled outside
    """
    grey = 114.0
    seen = functional.grid_sample(images - grey, grid, mode='bilinear', align_corners=False) + grey
    # nearest reads 0 outside the frame: shift the ids, in 8 bits, so that 0 means unlabelled
    shifted = (labels.to(torch.uint8) + 1).float()[:, None]
    ids = functional.grid_sample(shifted, grid, mode='nearest', align_corners=False)[:, 0]
    return seen, (ids.to(torch.uint8) - 1).long()


def paste(images: torch.Tensor, labels: torch.Tensor, classes: torch.Tensor, *,
          probability: float = 0.5) -> tuple[torch.Tensor, torch.Tensor]:
    """Paste things of one sample over the next, at the place where they are.

    Of each of these classes, some samples get all pixels that the sample before has ("ClassMix",
    Olsson et al., WACV 2021, with labels), so that what is rare is seen more often and before
    other backgrounds.

    :param images: (B, 3, H, W); labels: (B, H, W) int64
    :param classes: (classes,) bool, which classes are pasted
    :param probability: of pasting into a sample, and again for each class
    """
    count, device = len(images), images.device
    chosen = torch.zeros(count, UNLABELLED + 1, dtype=torch.bool, device=device)
    chosen[:, :len(classes)] = classes & (
        torch.rand(count, len(classes), device=device) < probability) & (
        torch.rand(count, 1, device=device) < probability)
    other_images, other_labels = images.roll(1, 0), labels.roll(1, 0)
    taken = chosen.gather(1, other_labels.flatten(1)).view_as(labels)
    return (torch.where(taken[:, None], other_images, images),
            torch.where(taken, other_labels, labels))


def random_shade(images: torch.Tensor, *, probability: float) -> torch.Tensor:
    """Light some images unevenly (up to about twice or half), and take the colour of a few.

    Colour goes from one in ten of them: cameras may be monochrome.
    """
    count = len(images)
    field = functional.interpolate(
        0.3 * torch.randn(count, 1, 3, 4, device=images.device), images.shape[2:],
        mode='bicubic', align_corners=False).clamp(-0.8, 0.8)
    chosen, grey = torch.rand(2, count, 1, 1, 1, device=images.device)
    images = torch.where(chosen < probability, (images * field.exp()).clamp(0, 255), images)
    return torch.where(grey < 0.1 * probability, images.mean(1, keepdim=True), images)


def random_light(count: int, device: torch.device, *, strength: float) -> torch.Tensor:
    """Random exposure, contrast, tint, gamma and saturation: (count, 7) parameters."""
    limits = torch.tensor([0.35, 0.35, 0.1, 0.1, 0.1, 0.3, 0.5], device=device) * strength
    return (torch.rand(count, 7, device=device) * 2 - 1) * limits


def relight(images: torch.Tensor, light: torch.Tensor) -> torch.Tensor:
    """Apply :func:`random_light`; images (B, 3, H, W) stay in 0..255."""
    light = light[:, :, None, None]
    x = images / 255
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (1 + light[:, 6:7])
    x = x * (1 + light[:, 2:5]) * torch.exp(light[:, 0:1])
    mean = x.mean((1, 2, 3), keepdim=True)
    x = (mean + (x - mean) * (1 + light[:, 1:2])).clamp(1e-4, 1)
    return x ** torch.exp(light[:, 5:6]) * 255


def random_blur(images: torch.Tensor, *, probability: float) -> torch.Tensor:
    """Blur some images of the batch (Gaussian, sigma up to 1.5 pixels) and add sensor noise."""
    count = images.shape[0]
    sigma = 0.3 + 1.2 * torch.rand(count, device=images.device)
    offsets = torch.arange(-3, 4, device=images.device).float()
    line = torch.exp(-0.5 * (offsets / sigma[:, None]) ** 2)
    line = line / line.sum(1, keepdim=True)
    kernel = (line[:, :, None] * line[:, None, :]).repeat_interleave(3, 0)[:, None]
    blurred = functional.conv2d(
        images.reshape(1, count * 3, *images.shape[2:]), kernel, padding=3, groups=count * 3)
    chosen = torch.rand(count, 1, 1, 1, device=images.device) < probability
    images = torch.where(chosen, blurred.reshape(images.shape), images)
    noise = torch.rand(count, 1, 1, 1, device=images.device) * 6 * torch.randn_like(images)
    return (images + noise).clamp(0, 255)
