# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Computations that a caller can interrupt: generators that pause between their steps.

S_h shares a computer's cores with the frames that arrive while it runs. It is therefore written
as a generator: each ``next`` runs one step, and what the last step computes is returned. A step is
small enough for a frame to wait for, so large convolutions are cut by their output channels.
"""

import math
from typing import Generator, Optional

import torch
from torch import nn
from torch.nn import functional

Steps = Generator[None, None, torch.Tensor]

_CHANNELS = 8    # a part has a multiple of so many, the width of a vector register in float32


def advance(steps: Steps) -> Optional[torch.Tensor]:
    """Run one step; returns the result after the last one, else None."""
    try:
        next(steps)
    except StopIteration as end:
        return end.value
    return None


def finish(steps: Steps) -> torch.Tensor:
    """Run all steps that are left, and return the result."""
    result = None
    while result is None:
        result = advance(steps)
    return result


def convolve(convolution: nn.Conv2d, x: torch.Tensor, largest: float) -> Steps:
    """Apply a convolution, in parts of its output channels if it is large.

    :param convolution: without groups, padded with zeros
    :param x: (B, C_in, H, W)
    :param largest: weights that a step may have, which are its multiplications a position
    :return: what ``convolution(x)`` gives
    """
    parts = _parts(convolution, largest)
    if len(parts) == 1:
        return convolution(x)
    done: list[torch.Tensor] = []
    for part in parts:
        if done:
            yield
        bias = None if convolution.bias is None else convolution.bias[part]
        done.append(functional.conv2d(
            x, convolution.weight[part], bias, convolution.stride, convolution.padding,
            convolution.dilation))
    return torch.cat(done, 1)


def convolve_norm_relu(layers: nn.Sequential, x: torch.Tensor, largest: float) -> Steps:
    """Apply convolution, batch norm and ReLU; see :func:`convolve`."""
    convolution, norm, relu = layers
    assert isinstance(convolution, nn.Conv2d)
    return relu(norm((yield from convolve(convolution, x, largest))))


def _parts(convolution: nn.Conv2d, largest: float) -> list[slice]:
    channels = convolution.out_channels
    count = max(1, math.ceil(convolution.weight.numel() / largest))
    size = math.ceil(channels / count / _CHANNELS) * _CHANNELS
    return [slice(start, min(channels, start + size)) for start in range(0, channels, size)]
