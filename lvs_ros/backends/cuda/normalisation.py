# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""An image normalised by one kernel of a GPU, written in Triton."""

from typing import Sequence

import torch
from torch import nn
import triton
import triton.language as tl

from lvs_ros.backends.cuda.trial import reason_against
from lvs_ros.model.normalisation import Normalisation

_VALUES = 1024    # for a block of threads
_TRIED_SIZE = (9, 37)    # rows and columns: not a multiple of anything


@triton.jit(do_not_specialize=['count'])    # one compilation for all sizes
def normalisation_kernel(image, result, count, mean_r, mean_g,  # type: ignore[no-untyped-def]
                         mean_b, scale_r, scale_g, scale_b, VALUES: tl.constexpr):
    first = tl.program_id(0).to(tl.int64) * VALUES
    places = tl.arange(0, VALUES)
    is_value = first + places < count
    channel = ((first % 3).to(tl.int32) + places) % 3
    mean = tl.where(channel == 0, mean_r, tl.where(channel == 1, mean_g, mean_b))
    scale = tl.where(channel == 0, scale_r, tl.where(channel == 1, scale_g, scale_b))
    value = tl.load(image + first + places, mask=is_value, other=0).to(tl.float32)
    value = (value - mean) * scale
    tl.store(result + first + places, value.to(result.dtype.element_ty), mask=is_value)


class TritonNormalisation(nn.Module):
    """Stands in for :class:`~lvs_ros.model.normalisation.Normalisation`; for inference on a GPU.

    It computes in float32, and rounds the result once.

    :param mean: of each channel, 0..255
    :param std: of each channel
    :param dtype: of the result
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], dtype: torch.dtype) -> None:
        super().__init__()
        self.mean = tuple(float(value) for value in mean)    # a whole number would be another type
        self.scale = tuple(1 / value for value in std)
        self.dtype = dtype

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Normalise an image.

        :param image: (B, 3, H, W), any type, RGB, 0..255
        :return: the same shape, channels last
        """
        image = image.contiguous(memory_format=torch.channels_last)
        result = torch.empty_like(image, dtype=self.dtype)
        grid = (triton.cdiv(image.numel(), _VALUES),)
        with torch.cuda.device_of(image):    # Triton launches on the current one
            normalisation_kernel[grid](image, result, image.numel(), *self.mean, *self.scale,
                                       VALUES=_VALUES)
        return result


def reason_against_normalisation(normalise: TritonNormalisation, device: torch.device) -> str:
    """Compile the kernel for bytes, and compare it with torch.

    :return: why it cannot be used; '' = it can
    """
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (1, 3, *_TRIED_SIZE), generator=generator)
    image = image.to(device, torch.uint8)
    plain = Normalisation(normalise.mean, [1 / scale for scale in normalise.scale]).to(device)
    expected = plain(image)
    return reason_against(
        lambda: normalise(image), expected,
        tolerance=(torch.finfo(normalise.dtype).eps + 1e-6) * (1 + float(expected.abs().max())))
