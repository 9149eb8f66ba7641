# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""CUDA graphs."""

import threading
from typing import Any, Optional

import torch

from lvs_ros.backends.graphs.recorder import Graph

_CAPTURING = threading.Lock()    # torch's generator of random numbers knows one capture at a time


class CudaRecorder:
    """See :class:`~lvs_ros.backends.graphs.recorder.Recorder`.

    Captures in the current stream, which must be none of the default ones
    (:func:`~lvs_ros.backends.cuda.streams.own_stream`). Other threads may go on using the GPU.
    """

    def __init__(self) -> None:
        self._graph: Optional[torch.cuda.CUDAGraph] = None    # that is captured

    def new_pool(self) -> Any:
        """Return a memory pool, from which several graphs may take."""
        return torch.cuda.graph_pool_handle()

    def begin(self, pool: Any) -> None:
        """Capture from now on."""
        _CAPTURING.acquire()
        self._graph = torch.cuda.CUDAGraph()
        self._graph.capture_begin(pool=pool, capture_error_mode='thread_local')

    def end(self) -> Graph:
        """Return what was captured."""
        graph = self._graph
        assert graph is not None
        graph.capture_end()
        self._graph = None
        _CAPTURING.release()
        return graph

    def abandon(self) -> None:
        """End capturing; the error that led here says more than that of an invalid capture."""
        graph, self._graph = self._graph, None
        if graph is None:    # it was between two graphs
            return
        try:
            graph.capture_end()
        except RuntimeError:
            pass
        finally:
            _CAPTURING.release()

    def duration_ms(self, graph: Graph) -> float:
        """Measure by events in the stream."""
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        before.record()
        graph.replay()
        after.record()
        after.synchronize()
        return before.elapsed_time(after)
