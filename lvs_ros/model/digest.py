# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Tells whether weights are the same that something was made for."""

import hashlib
import json
from typing import Iterable, Mapping

import torch
from torch import nn


CHECKSUM = 'sha256'
"""Name of the checksum in the metadata of a file."""


def checksum(metadata: Mapping[str, str], tensors: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 of the content of a safetensors file, but for the checksum itself.

    Of the metadata too: a wrong bit in the mean of the images is as bad as one in a weight.

    :param tensors: as they are stored, on the CPU
    :return: 64 hexadecimal digits
    """
    digest = hashlib.sha256()
    described = sorted((name, value) for name, value in metadata.items() if name != CHECKSUM)
    digest.update(json.dumps(described).encode())
    for name, value in sorted(tensors.items()):
        digest.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode())
        # NumPy does not know bfloat16
        digest.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def weights_digest(modules: Iterable[nn.Module], *, half: bool = False) -> str:
    """Return a short digest of all weights and statistics.

    :param half: of the weights as a model file stores them, in float16; else of every bit
    :return: 16 hexadecimal digits
    """
    digest = hashlib.sha256()
    for module in modules:
        for name, value in sorted(module.state_dict().items()):
            if name.endswith('num_batches_tracked'):
                continue
            value = value.detach().cpu().contiguous()
            value = value.to(torch.float16) if half else value.float()
            digest.update(f'{name} {tuple(value.shape)}'.encode())
            digest.update(value.numpy().tobytes())
    return digest.hexdigest()[:16]
