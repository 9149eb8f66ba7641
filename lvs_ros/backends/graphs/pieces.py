# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""S_h cut into pieces of measured time, so that a frame never waits long for one."""

import contextlib
import math
import statistics
from typing import Any, Callable, Iterator, Sequence

from torch import nn

from lvs_ros.backends.graphs.capture import CapturedFunction, Tensors, capture
from lvs_ros.backends.graphs.recorder import Graph, Recorder
from lvs_ros.checkpoints import checkpoint, checkpoints, current

_MEASUREMENTS = 3    # of each piece, whose median counts


def capture_in_pieces(recorder: Recorder, function: Callable[..., Tensors], inputs: Tensors,
                      modules: Sequence[nn.Module], *, longest_ms: float) -> CapturedFunction:
    """Capture a function whose pieces take at most so long, as far as its checkpoints allow.

    It is captured with a cut at every checkpoint and measured. Convolutions that take too long are
    told to do their work in pieces. What is short is put together again. All of that passes
    checkpoints.

    :param modules: the convolutions of the function; those with an attribute ``pieces`` can be cut
    :param longest_ms: of a piece
    """
    owners = _Owners(modules)
    with owners.noted():
        graphs = capture(recorder, recorder.new_pool(), function, inputs,
                         is_cut=owners.note_cut).graphs
        durations_ms = measure(recorder, graphs)
        if _cut_convolutions(owners.of_pieces(len(graphs)), durations_ms, longest_ms):
            del graphs
            with checkpoints(current() or _nothing):    # a part of a convolution is a new one
                function(*inputs)
            graphs = capture(recorder, recorder.new_pool(), function, inputs,
                             is_cut=lambda number: True).graphs
            durations_ms = measure(recorder, graphs)
    del graphs    # their memory, before that of the next ones is taken
    cuts = cuts_between(durations_ms, longest_ms)
    return capture(recorder, recorder.new_pool(), function, inputs,
                   is_cut=lambda number: number in cuts)


def measure(recorder: Recorder, graphs: Sequence[Graph]) -> list[float]:
    """Return the duration of each graph, ms; passes a checkpoint before each."""
    rounds: list[list[float]] = []
    for _ in range(_MEASUREMENTS):
        durations_ms = []
        for graph in graphs:    # in their order, as each needs the results of those before it
            checkpoint()
            durations_ms.append(recorder.duration_ms(graph))
        rounds.append(durations_ms)
    return [statistics.median(values) for values in zip(*rounds)]


def cuts_between(durations_ms: Sequence[float], longest_ms: float) -> set[int]:
    """Put neighbours together while they take no longer than ``longest_ms``.

    :param durations_ms: of the pieces that there are
    :return: the numbers of the cuts to keep: that of number n is before piece n + 1
    """
    cuts, total_ms = set(), 0.0
    for index, duration_ms in enumerate(durations_ms):
        if index and total_ms + duration_ms > longest_ms:
            cuts.add(index - 1)
            total_ms = 0.0
        total_ms += duration_ms
    return cuts


def _nothing() -> None:
    """Let convolutions be computed in pieces."""


class _Owners:
    """Notes which convolution each piece begins with."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self._modules = modules
        self._pieces = 1    # that have begun
        self._found: dict[int, nn.Module] = {}

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Note the calls of all modules in this block."""
        handles = [module.register_forward_pre_hook(self._note) for module in self._modules]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def note_cut(self, number: int) -> bool:
        """Cut at every checkpoint."""
        self._pieces = number + 2
        return True

    def of_pieces(self, count: int) -> list[Any]:
        """Return the convolution of each piece, or None."""
        return [self._found.get(index) for index in range(count)]

    def _note(self, module: nn.Module, args: Any) -> None:
        # Its own checkpoint, which begins its piece, is still to come.
        self._found[self._pieces] = module


def _cut_convolutions(owners: Sequence[Any], durations_ms: Sequence[float], longest_ms: float
                      ) -> bool:
    """Let convolutions that take too long work in pieces; tell whether there are any."""
    found = False
    for module, duration_ms in zip(owners, durations_ms):
        if duration_ms > longest_ms and hasattr(module, 'pieces'):
            module.pieces = max(module.pieces, math.ceil(duration_ms / longest_ms))
            found = True
    return found
