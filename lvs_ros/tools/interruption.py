# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Ending a tool in good order, however it is told to.

Signal handlers belong to the main thread: so do these.
"""

import contextlib
import signal
from types import FrameType
from typing import Callable, Iterator, Optional


@contextlib.contextmanager
def ended_like_interrupted() -> Iterator[None]:
    """Make SIGTERM and SIGHUP (the terminal was closed) do what Ctrl-C does."""
    def interrupt(number: int, frame: Optional[FrameType]) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt)
              for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def interrupted_once() -> Iterator[None]:
    """Raise KeyboardInterrupt at the first SIGINT, SIGTERM or SIGHUP and ignore those after it.

    For what must be cleaned up to its end: an impatient second Ctrl-C would leave things behind.
    """
    is_interrupted = False

    def interrupt(number: int, frame: Optional[FrameType]) -> None:
        nonlocal is_interrupted
        if not is_interrupted:
            is_interrupted = True
            raise KeyboardInterrupt

    with _handled_by(interrupt):
        yield


@contextlib.contextmanager
def interruption_noted() -> Iterator[Callable[[], bool]]:
    """Only note the first SIGINT, SIGTERM or SIGHUP; raise KeyboardInterrupt at the second.

    For what ends at a place of its own choice.

    :return: whether one has come
    """
    came: list[int] = []

    def note(number: int, frame: Optional[FrameType]) -> None:
        came.append(number)
        if len(came) > 1:
            raise KeyboardInterrupt

    with _handled_by(note):
        yield lambda: bool(came)


@contextlib.contextmanager
def interruption_deferred() -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP wait until the end of the block.

    Between the start of a process and the note that it must be ended nothing may come.
    """
    came: list[int] = []
    with _handled_by(lambda number, frame: came.append(number)):
        yield
    if came:
        signal.raise_signal(came[0])


@contextlib.contextmanager
def _handled_by(handler: Callable[[int, Optional[FrameType]], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in _NUMBERS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
