# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""To a GPU and back, by way of memory that it reads and writes by itself (pinned)."""

from typing import Sequence

import numpy as np
import torch


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Bring a tensor of the CPU to the device; on a GPU, in the current stream.

    The caller does not wait, and may overwrite the tensor at once. On a CPU it is the same one.
    """
    if device.type == 'cuda':
        tensor = tensor.contiguous().pin_memory()    # with gaps it would be copied once more
    return tensor.to(device, non_blocking=True)


def all_to_host(tensors: Sequence[torch.Tensor]) -> list[np.ndarray]:
    """Bring tensors of one device back, and wait once for all of them."""
    device = tensors[0].device
    if device.type != 'cuda':
        return [tensor.cpu().numpy() for tensor in tensors]
    results = [torch.empty(tensor.shape, dtype=tensor.dtype, device='cpu', pin_memory=True)
               for tensor in tensors]
    for result, tensor in zip(results, tensors):
        result.copy_(tensor, non_blocking=True)
    torch.cuda.current_stream(device).synchronize()
    return [result.numpy() for result in results]
