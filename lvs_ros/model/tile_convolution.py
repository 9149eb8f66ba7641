# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Convolutions by a CPU's matrix unit (Intel's AMX): five times as many multiplications a second.

What is multiplied is rounded to bfloat16. Products are summed up in float32, and so is everything
between two convolutions.
"""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from lvs_ros.model.direct_convolution import DirectConvolution
from lvs_ros.native.library import has_tiles

_DEPTH, _CHANNELS = 32, 16    # of a tile of weights


class TileConvolution(DirectConvolution):
    """A convolution of a square kernel whose factors are bfloat16.

    Infinity and what is not a number may spread to pixels on the left that do not see it: values
    that follow what a pixel sees are multiplied by zero.

    :raises RuntimeError: where there are no tiles, which would end the process later.
    """

    operator = 'lvs_tile_convolution'
    fusion_operator = 'lvs_tile_fusion'
    stem_operator = 'lvs_tile_stem'

    def __init__(self, convolution: nn.Conv2d) -> None:
        if not has_tiles():
            raise RuntimeError('this processor, or its system, has no tiles for bfloat16: use '
                               'another kind of convolution')
        super().__init__(convolution)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        has_tiles()    # every process has to ask for them

    def _arranged(self, weight: torch.Tensor) -> torch.Tensor:
        # (C_out, C_in, K, K) → (panels, K, runs, depth / 2, 16, 2); a run is what lies in one
        # piece in the image: a row of the kernel, or with a dilation a position of it.
        runs = weight.permute(0, 2, 3, 1)
        if self.dilation == 1:
            runs = runs.flatten(2)[:, :, None]
        channels, kernel, count, depth = runs.shape
        runs = functional.pad(runs, (0, -depth % _DEPTH, 0, 0, 0, 0, 0, -channels % _CHANNELS))
        panels = runs.reshape(-1, _CHANNELS, kernel, count, runs.shape[3] // 2, 2)
        return panels.permute(0, 2, 3, 4, 1, 5).to(torch.bfloat16).contiguous()
