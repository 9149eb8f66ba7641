# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The full network as the teacher of frames that nobody has labelled."""

import numpy as np
import torch

from lvs_ros.model import SegmentationNetwork


class Teacher:
    """Labels images with a trained network, once, before the training begins.

    :param network: on its device; put into evaluation mode
    """

    def __init__(self, network: SegmentationNetwork) -> None:
        self._network = network.eval()
        self._device = next(network.parameters()).device

    @torch.inference_mode()
    def mask(self, image: np.ndarray) -> np.ndarray:
        """Segment one frame with the full network.

        :param image: (H, W, 3) uint8 RGB
        :return: (H, W) uint8 class ids
        """
        # A copy: the image may be a view on a message, which torch must not write to.
        batch = torch.from_numpy(image.copy()).to(self._device)
        batch = batch.permute(2, 0, 1)[None].float().contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._device.type, torch.bfloat16,
                            enabled=self._device.type == 'cuda'):
            logits = self._network(batch)
        return logits[0].argmax(0).to(torch.uint8).cpu().numpy()
