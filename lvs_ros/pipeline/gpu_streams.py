# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Lets the two tracks share a GPU, the frames first."""

import collections
import functools
from typing import Optional

import torch

_LOWEST, _HIGHEST = 0, -100    # torch takes the nearest that there is; nothing is below CUDA's 0
_STEPS_AHEAD = 2    # of S_h: enough to keep the GPU busy, and few to finish when nobody wants them


class GpuStreams:
    """Two streams: of the frames, with the highest priority, and of S_h, with the lowest.

    Whenever a processor of the GPU has room for the next block of threads, it takes one from the
    stream of the frames, if there is any. So a frame waits for blocks of S_h that have begun,
    however much of S_h is on its way.

    :param device: a GPU
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.frames = torch.cuda.Stream(device, priority=_HIGHEST)
        self.slow = torch.cuda.Stream(device, priority=_LOWEST)
        self._steps: collections.deque[torch.cuda.Event] = collections.deque()

    def wait_for_weights(self) -> None:
        """Let neither begin before what is on its way in the current stream."""
        for stream in (self.frames, self.slow):
            stream.wait_stream(torch.cuda.current_stream(self._device))

    def hand_over(self, *tensors: torch.Tensor) -> None:
        """Let S_h read what frames have computed, even after the frames have dropped it."""
        self.slow.wait_stream(self.frames)
        for tensor in tensors:
            tensor.record_stream(self.slow)

    def wait_for_steps(self) -> None:
        """Wait until at most two steps of S_h are on their way; to be called before each."""
        event = torch.cuda.Event(blocking=True)
        event.record(self.slow)
        self._steps.append(event)
        if len(self._steps) > _STEPS_AHEAD:
            self._steps.popleft().synchronize()

    def hand_back(self, tensor: Optional[torch.Tensor]) -> None:
        """Wait until S_h has done all that is on its way; let frames read what it has computed.

        :raises RuntimeError: the device failed.
        """
        self._steps.clear()
        self.slow.synchronize()
        if tensor is not None:
            tensor.record_stream(self.frames)


@functools.lru_cache(maxsize=None)
def streams_of(device: torch.device) -> GpuStreams:
    """Return those of a GPU, the same ones each time: torch keeps memory for each stream."""
    return GpuStreams(device)
