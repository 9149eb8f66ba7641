# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Memory for the results of the native kernels, which is used again and again.

A frame needs dozens of features, some of which outlive it, while S_h comes and goes in between. In
the C library's heap that leaves gaps into which the next ones do not fit, and in an hour a process
grows by some megabytes.
"""

import weakref

import numpy as np
import torch


class BufferPool:
    """Blocks of float32, which come back when the last tensor on them is gone. Thread-safe.

    :param most_bytes: that may wait to be used again when a new block is made; beyond it they are
        given up
    """

    def __init__(self, most_bytes: int = 256 << 20) -> None:
        self._most_bytes = most_bytes
        # No lock: single operations of dict and list are atomic.
        self._free: dict[int, list[np.ndarray]] = {}    # by values in a block
        self.made = 0
        """Blocks made so far."""

    def empty(self, batch: int, channels: int, height: int, width: int) -> torch.Tensor:
        """Return (batch, channels, height, width) float32, channels last, of any values."""
        count = batch * channels * height * width
        free = self._free.setdefault(count, [])
        try:
            block = free.pop()
        except IndexError:
            block = self._new(count)
        # Torch refers to this view, never to the block, as long as the tensor or a view of it
        # lives.
        view = block.reshape(batch, height, width, channels)
        weakref.finalize(view, free.append, block).atexit = False
        return torch.from_numpy(view).permute(0, 3, 1, 2)

    def free_bytes(self) -> int:
        """Return the size of all blocks that wait to be used again."""
        return sum(4 * count * len(blocks) for count, blocks in list(self._free.items()))

    def _new(self, count: int) -> np.ndarray:
        if self.free_bytes() > self._most_bytes:
            for blocks in list(self._free.values()):
                blocks.clear()
        self.made += 1
        return torch.empty(count, dtype=torch.float32, device='cpu').numpy()


_POOL = BufferPool()
empty = _POOL.empty
"""The process's own: :meth:`BufferPool.empty`."""
