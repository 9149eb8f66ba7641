# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The stream of a GPU that a thread computes in."""

import contextlib
import threading
from typing import Iterator

import torch

_OWN = threading.local()


@contextlib.contextmanager
def own_stream(device: torch.device) -> Iterator[None]:
    """Make a device, and a stream on it that only this thread uses, the current ones.

    Graphs cannot be captured in the default stream, nor in one that another thread launches into.
    It is the same stream for a thread and a device at all times; on a CPU nothing happens.
    """
    if device.type != 'cuda':
        yield
        return
    streams: dict[torch.device, torch.cuda.Stream] = vars(_OWN).setdefault('streams', {})
    if device not in streams:
        streams[device] = torch.cuda.Stream(device)
    with torch.cuda.stream(streams[device]):    # and its device
        yield
