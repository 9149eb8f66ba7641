# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The detail head for inference: additions and ReLUs are part of its convolutions."""

import torch
from torch import nn

from lvs_ros.backends.convolution import Convolution
from lvs_ros.ops.resampling import interpolate


class FusedDetailHead(nn.Module):
    """Stands in for a :class:`~lvs_ros.model.detail_head.DetailHead`; for inference.

    :param of_high: without a ReLU, as ``correction``; the other two with
    :param align_corners: how logits and F_h are enlarged
    """

    def __init__(self, of_high: Convolution, of_detail: Convolution, fuse: Convolution,
                 correction: Convolution, *, align_corners: bool) -> None:
        super().__init__()
        self.of_high, self.of_detail = of_high, of_detail
        self.fuse, self.correction = fuse, correction
        self._align_corners = align_corners

    def forward(self, logits: torch.Tensor, high: torch.Tensor, detail: torch.Tensor
                ) -> torch.Tensor:
        """See :meth:`lvs_ros.model.detail_head.DetailHead.forward`."""
        x, logits = (interpolate(one, *detail.shape[2:], align_corners=self._align_corners)
                     for one in (self.of_high(high), logits))
        return self.correction(self.fuse(self.of_detail(detail, x)), logits)
