# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: where a long computation lets whoever runs it do something else.

S_h shares cores or a GPU with the frames that arrive while it runs. It is ordinary code, which
calls :func:`checkpoint` before every convolution, and between the pieces of a large one. What that
means is the caller's to say (:mod:`lvs_ros.pipeline.execution`): a waiting frame is computed, or
the computation is cancelled by an exception. Where nobody has said anything it means nothing.
"""

import contextlib
import contextvars
from typing import Callable, Iterator, Optional

Callback = Callable[[], None]

_CALLBACK: contextvars.ContextVar[Optional[Callback]] = contextvars.ContextVar(
    'lvs_checkpoint', default=None)


def checkpoint() -> None:
    """Call what :func:`checkpoints` has set in this thread, if anything."""
    callback = _CALLBACK.get()
    if callback is not None:
        callback()


def current() -> Optional[Callback]:
    """Return what :func:`checkpoint` calls in this thread; None = nothing."""
    return _CALLBACK.get()


def is_interruptible() -> bool:
    """Tell whether a checkpoint means anything here; if not, no piece need be small."""
    return _CALLBACK.get() is not None


@contextlib.contextmanager
def checkpoints(callback: Optional[Callback]) -> Iterator[None]:
    """Let :func:`checkpoint` call a function in this block and this thread; None = nothing.

    :param callback: what it raises ends the computation
    """
    token = _CALLBACK.set(callback)
    try:
        yield
    finally:
        _CALLBACK.reset(token)
