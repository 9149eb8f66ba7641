# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A function of tensors captured as one graph, or as several pieces with checkpoints between."""

import weakref
from typing import Any, Callable, Optional, Sequence

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lvs_ros.backends.graphs.recorder import Graph, Recorder
from lvs_ros.checkpoints import checkpoint, checkpoints, current

Tensors = tuple[Optional[torch.Tensor], ...]
IsCut = Callable[[int], bool]
"""Tells whether a new piece begins at the checkpoint of that number, from 0."""


class CapturedFunction:
    """Stands in for the function that it was captured from.

    Its results lie in memory that the next call overwrites.

    :ivar is_running: a call has not returned yet; another one would overwrite what it works on
    :param graphs: replayed one after the other
    :param inputs: the memory that they read
    :param outputs: the memory that they write
    :param kept: what else they read, which must not be freed before them
    """

    def __init__(self, graphs: Sequence[Graph], inputs: Tensors, outputs: Tensors,
                 kept: Sequence[torch.Tensor]) -> None:
        self.graphs, self.outputs = graphs, outputs
        self.is_running = False
        self._inputs, self._kept = inputs, kept
        self._given: list[Optional[torch.Tensor]] = [None] * len(inputs)

    def __call__(self, *inputs: Optional[torch.Tensor], lasting: Sequence[int] = ()) -> Tensors:
        """Copy the inputs, and replay; passes checkpoints between pieces.

        :param inputs: of the shapes, dtypes and layouts that it was captured with
        :param lasting: numbers of those that nobody writes to any more: a tensor that is given
            again is not copied again
        """
        for index, (own, given) in enumerate(zip(self._inputs, inputs, strict=True)):
            if own is not None and given is not own and given is not self._given[index]:
                own.copy_(given)  # type: ignore[arg-type]
                self._given[index] = given if index in lasting else None
        self.is_running = True
        try:
            for number, graph in enumerate(self.graphs):
                if number:
                    checkpoint()
                graph.replay()
        finally:
            self.is_running = False
        return self.outputs


def capture(recorder: Recorder, pool: Any, function: Callable[..., Tensors], inputs: Tensors, *,
            is_cut: IsCut = lambda number: False) -> CapturedFunction:
    """Capture a function that has been called with inputs of these shapes before.

    What the first call does once, such as compiling and choosing algorithms, cannot be captured.

    :param inputs: the memory that it is to read; None is handed on
    :param is_cut: where it is cut into pieces. Between two of them the checkpoint is passed that
        was set when this was called: something else may be computed there.
    :raises Exception: whatever the function or the device raises; nothing is left behind.
    """
    graphs: list[Graph] = []
    outside, number, foreign = current(), -1, _Foreign(inputs)

    def begin() -> None:
        recorder.begin(pool)
        foreign.__enter__()

    def end() -> None:
        foreign.__exit__(None, None, None)
        graphs.append(recorder.end())

    def at_checkpoint() -> None:
        nonlocal number
        number += 1
        if is_cut(number):
            end()
            if outside is not None:
                outside()
            begin()

    try:
        begin()
        with checkpoints(at_checkpoint):
            outputs = function(*inputs)
        end()
    except BaseException:
        foreign.leave()
        recorder.abandon()
        raise
    return CapturedFunction(graphs, inputs, outputs, foreign.tensors)


class _Foreign(TorchDispatchMode):
    """Notes the tensors that are read without having been made meanwhile.

    A graph knows addresses: constants that a cache would drop some day must stay.
    """

    def __init__(self, known: Tensors) -> None:
        super().__init__()
        self._is_on = False
        self.tensors: list[torch.Tensor] = []
        self._known = {id(tensor): weakref.ref(tensor) for tensor in known if tensor is not None}

    def __enter__(self) -> '_Foreign':
        self._is_on = True
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        self._is_on = False
        super().__exit__(*error)

    def leave(self) -> None:
        """Note nothing any more; after an error it may be on or not."""
        if self._is_on:
            self.__exit__(None, None, None)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (),
                           kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in _tensors((args, kwargs)):
            if self._is_new(tensor):
                self.tensors.append(tensor)
        for tensor in _tensors(result):
            self._is_new(tensor)
        return result

    def _is_new(self, tensor: torch.Tensor) -> bool:
        known = self._known.get(id(tensor))
        if known is not None and known() is tensor:
            return False
        self._known[id(tensor)] = weakref.ref(tensor)
        return True


def _tensors(value: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(value)
            if isinstance(leaf, torch.Tensor)]
