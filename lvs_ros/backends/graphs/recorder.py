# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a device must be able to do so that graphs can be captured on it."""

from typing import Any, Protocol


class Graph(Protocol):
    """Captured work of a device. It reads and writes the memory that it was captured with."""

    def replay(self) -> None:
        """Do it again; the caller does not wait."""


class Recorder(Protocol):
    """Captures what is called between :meth:`begin` and :meth:`end`, which is not computed.

    What is called must not ask the device for values. Between two graphs the device may be used
    as always.
    """

    def new_pool(self) -> Any:
        """Return a new source of memory for graphs.

        Graphs of one source may use the same memory for what lies between their kernels: one must
        have ended before another is replayed.
        """

    def begin(self, pool: Any) -> None:
        """Capture from now on."""

    def end(self) -> Graph:
        """Return what was captured."""

    def abandon(self) -> None:
        """End capturing after an error; nothing comes of it."""

    def duration_ms(self, graph: Graph) -> float:
        """Replay a graph, and return how long it took the device, waiting for that."""
