# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Tells whether weights are the same that something was made for."""

import hashlib
from typing import Iterable

import torch
from torch import nn


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
