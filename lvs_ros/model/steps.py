# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Computations that a caller can interrupt: generators that pause between their steps.

S_h shares a computer's cores with the frames that arrive while it runs. It is therefore written
as a generator: each ``next`` runs one step, and what the last step computes is returned. A step is
small enough for a frame to wait for, so large convolutions are cut into parts.
"""

from typing import Generator, Optional

import torch

Steps = Generator[None, None, torch.Tensor]


def advance(steps: Steps) -> Optional[torch.Tensor]:
    """Run one step; returns the result after the last one, else None."""
    try:
        next(steps)
    except StopIteration as end:
        return end.value
    return None


def finish(steps: Steps) -> torch.Tensor:
    """Run all steps that are left, and return the result."""
    result = None
    while result is None:
        result = advance(steps)
    return result
