# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""An iterator that another thread keeps a few items ahead of its consumer."""

import contextlib
import queue
import threading
from typing import Any, Iterable, Iterator, TypeVar

Item = TypeVar('Item')

_END = object()


@contextlib.contextmanager
def read_ahead(source: Iterable[Item], *, limit: int = 8) -> Iterator[Iterator[Item]]:
    """Iterate over ``source`` in a thread of its own, which ends with the block.

    An exception of the source is raised where its item would have come.

    :param source: iterated over in the other thread only
    :param limit: how many items may wait for the consumer, so that memory stays bounded
    :return: the items; those that are not taken in the block are lost
    """
    items: queue.Queue[Any] = queue.Queue(limit)
    stopped = threading.Event()
    errors: list[Exception] = []

    def read() -> None:
        try:
            for item in source:
                items.put(item)
                if stopped.is_set():
                    return
        except Exception as error:
            errors.append(error)
        items.put(_END)

    def taken() -> Iterator[Item]:
        yield from iter(items.get, _END)
        if errors:
            raise errors[0]

    thread = threading.Thread(target=read, name='read_ahead', daemon=True)
    thread.start()
    try:
        yield taken()
    finally:
        stopped.set()
        while thread.is_alive():
            with contextlib.suppress(queue.Empty):
                items.get_nowait()  # makes room for a producer that waits for it
            thread.join(timeout=0.01)
