# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Lets the two tracks share a GPU, the frames first."""

import torch

_LOWEST, _HIGHEST = 0, -100    # torch takes the nearest that there is; nothing is below CUDA's 0


class GpuStreams:
    """Two streams: of the frames, with the highest priority, and of S_h, with the lowest.

    Whenever a processor of the GPU has room for the next block of threads, it takes one from the
    stream of the frames, if there is any. So a frame waits for blocks of S_h that have begun, some
    microseconds each, however much of S_h is on its way.

    :param device: a GPU
    """

    def __init__(self, device: torch.device) -> None:
        self.frames = torch.cuda.Stream(device, priority=_HIGHEST)
        self.slow = torch.cuda.Stream(device, priority=_LOWEST)
        for stream in (self.frames, self.slow):    # neither waits by itself for the weights
            stream.wait_stream(torch.cuda.current_stream(device))

    def hand_over(self, *tensors: torch.Tensor) -> None:
        """Let S_h read what frames have computed so far, even after the frames have dropped it.

        To be called where both streams' next work can wait for it.
        """
        self.slow.wait_stream(self.frames)
        for tensor in tensors:
            tensor.record_stream(self.slow)

    def hand_back(self, tensor: torch.Tensor) -> None:
        """Let frames read what S_h has computed; returns when it is complete.

        :raises RuntimeError: the device failed.
        """
        self.slow.synchronize()
        tensor.record_stream(self.frames)
