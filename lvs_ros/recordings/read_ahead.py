# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""An iterator that another thread keeps a few items ahead of its consumer."""

import queue
import threading
from typing import Any, Generic, Iterator, Optional, TypeVar

Item = TypeVar('Item')

_END = object()


class ReadAhead(Generic[Item]):
    """Iterate over ``source``, which runs in a thread of its own; a context manager.

    An exception of the source is raised where its item would have come.

    :param source: iterated over in the other thread only
    :param limit: how many items may wait for the consumer, so that memory stays bounded
    """

    def __init__(self, source: Iterator[Item], *, limit: int = 8) -> None:
        self._items: queue.Queue[tuple[Any, Optional[Exception]]] = queue.Queue(limit)
        self._stopped = threading.Event()
        self._source = source
        self._thread = threading.Thread(target=self._read, name='read_ahead', daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Item]:
        while True:
            item, error = self._items.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item

    def close(self) -> None:
        """Stop the thread; items that were not taken are lost."""
        self._stopped.set()
        while self._thread.is_alive():
            try:
                self._items.get_nowait()  # makes room for a producer that waits for it
            except queue.Empty:
                pass
            self._thread.join(timeout=0.01)

    def __enter__(self) -> 'ReadAhead[Item]':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        try:
            for item in self._source:
                self._items.put((item, None))
                if self._stopped.is_set():
                    return
            self._items.put((_END, None))
        except Exception as error:  # raised again in the consumer's thread
            self._items.put((None, error))
