# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What SIGINT (Ctrl-C), SIGTERM and SIGHUP (the terminal was closed) do to a tool.

Python runs signal handlers in the main thread: these are to be used there.
"""

import contextlib
import signal
from types import FrameType
from typing import Callable, Iterator, Optional


_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def interrupted_once() -> Iterator[None]:
    """Raise KeyboardInterrupt at the first SIGINT, SIGTERM or SIGHUP and ignore those after it.

    So a second Ctrl-C does not interrupt the clean-up and leave files or processes behind.
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
    """Only record the first SIGINT, SIGTERM or SIGHUP; raise KeyboardInterrupt at the second.

    For a computation that chooses where it stops.

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
    """Deliver SIGINT, SIGTERM and SIGHUP at the end of the block only.

    So nothing comes between the start of a process and the registration of what ends it.
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
