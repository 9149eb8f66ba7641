# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The end of the deviation net on a CPU."""

import torch

from lvs_ros.backends.cpu.library import channels_last, native, pointer
from lvs_ros.model.deviation_net import LinearOfMean


class NativeLinearOfMean(LinearOfMean):
    """Stands in for :class:`~lvs_ros.model.deviation_net.LinearOfMean`; for inference.

    :param linear: float32, with one output; its weights are shared
    """

    def __init__(self, linear: LinearOfMean) -> None:
        super().__init__(linear.in_features, 1)
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) float32 → (B, 1)."""
        features = channels_last(features)
        batch, channels, height, width = features.shape
        result = torch.empty(batch, 1, dtype=torch.float32, device='cpu')
        for index in range(batch):
            native().lvs_linear_of_mean(
                pointer(features, index), pointer(self.weight), pointer(self.bias),
                pointer(result, index), height * width, channels)
        return result
