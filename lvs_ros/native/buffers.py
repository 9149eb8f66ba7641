# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Memory for the results of the compiled operators, which is used again and again.

A frame needs dozens of features, some of which outlive it, while S_h comes and goes in between. In
the C library's heap that leaves gaps into which the next ones do not fit, and in an hour a process
grows by some megabytes.

After a change of the image's size, memory for the old one stays until there is much of it.
"""

import sys
import threading

import numpy as np
import torch

_MOST_BYTES = 256 << 20    # of a thread; beyond it, what nobody uses is given up

Shape = tuple[int, int, int, int]


class _Buffers(threading.local):
    """A thread's, by shape: threads need not wait for each other."""

    def __init__(self) -> None:
        self.by_shape: dict[Shape, list[np.ndarray]] = {}

    def take(self, shape: Shape) -> np.ndarray:
        """Return memory that nobody uses."""
        buffers = self.by_shape.setdefault(shape, [])
        for number in range(len(buffers)):
            if _is_unused(buffers, number):
                return buffers[number]
        if sum(buffer.nbytes for some in self.by_shape.values() for buffer in some) > _MOST_BYTES:
            self._forget_unused()
        buffers.append(torch.empty(shape, dtype=torch.float32, device='cpu').numpy())
        return buffers[-1]

    def _forget_unused(self) -> None:
        for buffers in self.by_shape.values():
            buffers[:] = [buffers[number] for number in range(len(buffers))
                          if not _is_unused(buffers, number)]


def _is_unused(buffers: list[np.ndarray], number: int) -> bool:
    # A tensor that is made of an array refers to it as long as it or a view of it lives. So does
    # the list, and so does the argument here.
    return sys.getrefcount(buffers[number]) <= 2


_BUFFERS = _Buffers()


def empty(batch: int, channels: int, height: int, width: int) -> torch.Tensor:
    """Return (batch, channels, height, width) float32 on the CPU, channels last, of any values."""
    memory = _BUFFERS.take((batch, height, width, channels))
    return torch.from_numpy(memory).permute(0, 3, 1, 2)
