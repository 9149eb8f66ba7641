# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The full network as the teacher: it labels frames without labels."""

import numpy as np
import torch

from lvs_ros.model import SegmentationNetwork
from lvs_ros.pipeline.frame import Frame
from lvs_ros.pipeline.input import to_tensor


class Teacher:
    """Labels images with a trained network, once, before the training begins.

    :param network: on its device; put into evaluation mode
    """

    def __init__(self, network: SegmentationNetwork) -> None:
        self._network = network.eval()

    @torch.inference_mode()
    def mask(self, image: np.ndarray) -> np.ndarray:
        """Segment one frame with the full network and flip averaging.

        :param image: (H, W, 3) uint8 RGB
        :return: (H, W) uint8 class ids
        """
        network, device = self._network, self._network.device
        batch = to_tensor(Frame(image, 0), device=device)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == 'cuda'):
            low, detail = network.low_and_detail(batch)
            high = network.refine(network.high(low), batch)
            logits = network.upsample(network.logits(high, detail), *batch.shape[2:])
        return logits[0].argmax(0).to(torch.uint8).cpu().numpy()
