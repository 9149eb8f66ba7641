# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How much of S_h is on its way to a GPU."""

from typing import Optional

import torch


class PiecesInFlight:
    """Keeps at most one piece on its way besides the one that is computed.

    Enough to keep the GPU busy, and little to finish before a frame that comes.

    :param device: a GPU
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._last: Optional[torch.cuda.Event] = None

    def wait(self) -> None:
        """Wait until all pieces but the last have been computed; to be called after each."""
        event = torch.cuda.Event(blocking=True)    # which leaves the interpreter to others
        event.record(torch.cuda.current_stream(self._device))
        if self._last is not None:
            self._last.synchronize()
        self._last = event
