# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Convolutions by AMX: five times as many multiplications a second as in float32.

What is multiplied is rounded to bfloat16. Products are summed up in float32, and so is everything
between two convolutions.
"""

import torch
from torch.nn import functional

from lvs_ros.backends.cpu.direct import DirectConvolution

_DEPTH, _CHANNELS = 32, 16    # of a tile register of weights


class AmxConvolution(DirectConvolution):
    """A convolution of a square kernel whose factors are bfloat16.

    To be used where :func:`~lvs_ros.backends.cpu.library.has_amx`. Infinity and what is not a
    number may spread to pixels on the left that do not see it: values that follow what a pixel
    sees are multiplied by zero.
    """

    prefix = 'lvs_amx_'

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
