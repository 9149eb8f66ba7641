# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Computes frames in the thread that wants them.

That is where S_h needs no turn of its own: it has other cores, or a GPU, which shares itself out.
"""

import contextlib
from typing import Any, Callable, ContextManager, Iterator, Optional, Protocol, TypeVar

import torch

from lvs_ros.pipeline.frame_priority import FramePriority
from lvs_ros.pipeline.threads import team_threads

T = TypeVar('T')


class FrameRunner(Protocol):
    """Where frames are computed: a :class:`CallingThread` or a lane."""

    @property
    def frame_threads(self) -> int:
        """Size of the team for frames on a CPU, 0 = as torch has it."""

    def frame(self, function: Callable[[], T]) -> T:
        """Compute for a frame; returns, or raises, what the function does."""

    def rehearse(self, begin: Callable[[], Iterator[None]]) -> None:
        """Do some of what a frame needs before each that can be expected, if that can be done.

        :param begin: see :class:`~lvs_ros.pipeline.rehearsal.Rehearsal`
        """

    def close(self) -> None:
        """Let everybody go."""


class CallingThread:
    """Computes each frame where it is wanted.

    :param priority: that frames have over other programs; None = they have none
    :param stream: of a GPU, in which the frames are computed; None = the current one, or a CPU
    """

    def __init__(self, *, priority: Optional[FramePriority] = None,
                 stream: Optional[torch.cuda.Stream] = None) -> None:
        self._priority = priority or FramePriority()
        self._stream = stream

    @property
    def frame_threads(self) -> int:
        """As torch has it."""
        return 0

    def frame(self, function: Callable[[], T]) -> T:
        """Compute for a frame; returns, or raises, what the function does."""
        with self._priority.raised(self._threads()), self._in_stream():
            return function()

    def rehearse(self, begin: Callable[[], Iterator[None]]) -> None:
        """Do nothing: between two frames the thread is not this object's to use."""

    def close(self) -> None:
        """Nobody waits."""

    def _threads(self) -> tuple[int, ...]:
        return team_threads(torch.get_num_threads()) if self._priority else ()

    def _in_stream(self) -> ContextManager[Any]:
        if self._stream is None:
            return contextlib.nullcontext()
        return torch.cuda.stream(self._stream)
