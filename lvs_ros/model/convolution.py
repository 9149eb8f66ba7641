# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Convolutions and what follows them, torch's or compiled ones, in steps for S_h."""

import math
from typing import Iterable, Optional, Sequence, cast

import torch
from torch import nn
from torch.nn import functional

from lvs_ros.model.compiled_convolution import CompiledConvolution
from lvs_ros.model.steps import Steps, finish

Convolution = nn.Conv2d | CompiledConvolution

_CHANNELS = 8    # a part has a multiple of so many, the width of a vector register in float32


def work(layers: Iterable[nn.Module]) -> float:
    """Return the multiplications a position of all convolutions in the layers.

    Those on pooled images count as if they were on the whole one: they are few.
    """
    modules = [module for layer in layers for module in layer.modules()]
    return sum(_work(module) for module in modules
               if isinstance(module, (nn.Conv2d, CompiledConvolution)))


def convolve(convolution: Convolution, x: torch.Tensor, largest: float = math.inf, *,
             norm: Optional[nn.Module] = None, added: Optional[torch.Tensor] = None,
             relu: bool = False) -> Steps:
    """Apply a convolution and what follows it, in parts if it is large.

    :param convolution: without groups, padded with zeros
    :param x: (B, C_in, H, W)
    :param largest: :func:`work` that a step may have
    :param norm: what the result of the convolution goes through
    :param added: what is added to that
    :param relu: negative values become 0 in the end
    :return: (B, C_out, H', W')
    """
    if isinstance(convolution, CompiledConvolution):
        # Nothing is normalised here: such a convolution has its batch norm folded in.
        count = max(1, math.ceil(convolution.work / largest))
        return (yield from convolution.steps(x, count, added=added, relu=relu))
    y = yield from _convolve_plainly(convolution, x, largest)
    if norm is not None:
        y = norm(y)
    if added is not None:
        y = y + added
    return functional.relu(y, inplace=True) if relu else y


class NormedConvolutions(nn.Sequential):
    """Convolution, batch norm, ReLU, and again, as often as there are."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C_in, H, W) → (B, C_out, H', W')."""
        return finish(self.steps(x))

    def steps(self, x: torch.Tensor, largest: float = math.inf) -> Steps:
        """Do the same in steps; see :func:`convolve`."""
        return (yield from _convolve_all(list(self), x, largest))


class Stem(nn.Sequential):
    """The same, and a max pooling in the end."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C_in, H, W) → (B, C_out, H', W')."""
        *layers, pool = self
        return pool(finish(_convolve_all(layers, x, math.inf)))


def _convolve_all(layers: Sequence[nn.Module], x: torch.Tensor, largest: float) -> Steps:
    for start in range(0, len(layers), 3):
        if start:
            yield
        convolution = cast(Convolution, layers[start])
        x = yield from convolve(convolution, x, largest, norm=layers[start + 1], relu=True)
    return x


def _work(convolution: Convolution) -> float:
    if isinstance(convolution, CompiledConvolution):
        return convolution.work
    return convolution.weight.numel()


def _convolve_plainly(convolution: nn.Conv2d, x: torch.Tensor, largest: float) -> Steps:
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


def _parts(convolution: nn.Conv2d, largest: float) -> list[slice]:
    channels = convolution.out_channels
    count = max(1, math.ceil(convolution.weight.numel() / largest))
    size = math.ceil(channels / count / _CHANNELS) * _CHANNELS
    return [slice(start, min(channels, start + size)) for start in range(0, channels, size)]
