# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Optical flow for training batches: the pipeline's own, sample by sample."""

import concurrent.futures
import threading

import torch

from lvs_ros.pipeline.frame import Frame
from lvs_ros.pipeline.optical_flow import OpticalFlow


class BatchFlow:
    """Computes displacements on the CPU, several samples at a time."""

    def __init__(self) -> None:
        self._executor = concurrent.futures.ThreadPoolExecutor(thread_name_prefix='lvs_flow')
        self._local = threading.local()    # an OpticalFlow serves one thread

    def displacements(self, images: tuple[torch.Tensor, ...], pairs: list[tuple[int, int]], *,
                      height: int, width: int) -> list[torch.Tensor]:
        """Where the content of each position was.

        :param images: the frames of a clip, each (B, 3, H, W) float, RGB 0..255
        :param pairs: (now, before), indices of frames
        :param height: positions of the features
        :param width: positions of the features
        :return: for each pair (B, 2, height, width) float32, on the images' device
        """
        device = images[0].device
        arrays = [frame.detach().round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
                  .contiguous().cpu().numpy() for frame in images]

        def sample(row: int) -> list[torch.Tensor]:
            flow = self._flow()
            greys = [flow.grey(Frame(frame[row], 0)) for frame in arrays]
            return [flow.displacement(greys[now], greys[before], height=height, width=width)
                    for now, before in pairs]

        rows = list(self._executor.map(sample, range(len(arrays[0]))))
        return [torch.cat([row[pair] for row in rows]).to(device) for pair in range(len(pairs))]

    def _flow(self) -> OpticalFlow:
        if not hasattr(self._local, 'flow'):
            self._local.flow = OpticalFlow()
        return self._local.flow
