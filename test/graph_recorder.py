# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Graphs on the CPU: operators noted when they are called, and called again on the same memory.

As on a GPU, nothing is computed while a graph is captured, code in Python runs only then, and a
graph overwrites what others of its pool had left of memory that nobody referred to when it was
captured.
"""

import weakref
from typing import Any, Callable, Optional

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

NOT_COMPUTED = 0xFF    # in every byte: NaN, or an impossible label


class RecordedGraph:
    """Calls of operators.

    :param overwritten: memory that is lost on a replay
    """

    def __init__(self, calls: list[Callable[[], None]], overwritten: list[torch.Tensor],
                 recorder: 'CallRecorder') -> None:
        self.calls = calls
        self._overwritten, self._recorder = overwritten, recorder

    def replay(self) -> None:
        """Call them again."""
        assert self._recorder.mode is None, 'a graph is replayed while another one is captured'
        for memory in self._overwritten:
            memory.fill_(NOT_COMPUTED)
        for call in self.calls:
            call()


class CallRecorder:
    """A :class:`~lvs_ros.backends.graphs.recorder.Recorder`.

    :param call_ms: pretended duration of an operator
    """

    def __init__(self, call_ms: float = 0.1) -> None:
        self.call_ms = call_ms
        self.captured = 0
        self.mode: Optional[_Noting] = None

    def new_pool(self) -> '_Pool':
        return _Pool()

    def begin(self, pool: '_Pool') -> None:
        assert self.mode is None, 'captured within a capture'
        self.mode = _Noting(pool)
        self.mode.__enter__()

    def end(self) -> RecordedGraph:
        mode, self.mode = self.mode, None
        assert mode is not None
        mode.__exit__(None, None, None)
        self.captured += 1
        for made in mode.made:
            mode.pool.memory[made].fill_(NOT_COMPUTED)
        return RecordedGraph(mode.calls, mode.free, self)

    def abandon(self) -> None:
        if self.mode is not None:
            self.mode.__exit__(None, None, None)
            self.mode = None

    def duration_ms(self, graph: Any) -> float:
        graph.replay()
        return self.call_ms * len(graph.calls)


class _Pool:
    """Memory of graphs, and who refers to it."""

    def __init__(self) -> None:
        self.owners: dict[int, list[weakref.ref[torch.Tensor]]] = {}
        self.memory: dict[int, torch.Tensor] = {}    # as bytes; never freed, so no address returns

    def free(self) -> list[torch.Tensor]:
        """Return the memory that nobody refers to, which the next graph may use."""
        return [memory for address, memory in self.memory.items()
                if not any(owner() is not None for owner in self.owners[address])]


class _Noting(TorchDispatchMode):
    """Notes each call with tensors of its own on the memory of those that were given."""

    def __init__(self, pool: _Pool) -> None:
        super().__init__()
        self.pool, self.free = pool, pool.free()
        self.calls: list[Callable[[], None]] = []
        self.made: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (),
                           kwargs: Any = None) -> Any:
        if function in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.item.default):
            raise RuntimeError('operation not permitted when stream is capturing')
        kwargs = kwargs or {}
        given = {address(tensor) for tensor in tensors((args, kwargs))}
        result = function(*args, **kwargs)
        made = tensors(result)
        for tensor in made:
            memory = address(tensor)
            if memory not in given and memory not in self.pool.memory:
                self.made.add(memory)
                self.pool.memory[memory] = as_bytes(tensor)
                self.pool.owners[memory] = []
            if memory in self.pool.memory:
                self.pool.owners[memory].append(weakref.ref(tensor))
        own_args, own_kwargs, own = tree_map_only(torch.Tensor, alias, (args, kwargs, made))
        is_new = [address(tensor) not in given for tensor in made]

        def call() -> None:
            for mine, new, value in zip(own, is_new, tensors(function(*own_args, **own_kwargs))):
                if new:
                    mine.copy_(value)

        self.calls.append(call)
        return result


def tensors(value: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]


def address(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def as_bytes(tensor: torch.Tensor) -> torch.Tensor:
    return torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())


def alias(tensor: torch.Tensor) -> torch.Tensor:
    """Return another tensor on the same memory, which keeps it, but not the tensor."""
    return torch.empty(0, dtype=tensor.dtype).set_(
        tensor.untyped_storage(), tensor.storage_offset(), tensor.shape, tensor.stride())
