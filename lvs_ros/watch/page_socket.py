# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The web socket of a page.

To the page go JSON objects that hold what is new, and pictures, which are binary. The keys are
those of :class:`~lvs_ros.watch.source.News`, but 'frames', a list; besides 'hello', 'answer', and
'now_s', the clock of the frames. The page acknowledges each message, and gets the next one only
then: a slow connection gets fewer pictures, not later ones. A page that acknowledges nothing is
closed, so that no node works for it: a browser that has stopped a page still answers pings for it.

The page sends JSON objects, told apart by 'type':

===== ======================== ===================================================================
hello token                    once; the answer 'hello' says whether the page may change anything
show  node, picture            which node, null for none; whether with pictures
ack                            it has dealt with the last message
set   threshold, token, number the 'answer' has the number, and the reason if it was refused
===== ======================== ===================================================================
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections.abc import Awaitable
from typing import Any

from tornado.web import RequestHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from lvs_ros import __version__
from lvs_ros.watch.access import Access
from lvs_ros.watch.outbox import Outbox
from lvs_ros.watch.pages import Pages
from lvs_ros.watch.source import Source

_MOST_PAGES = 32
_PERIOD_S = 0.1    # between two messages, so that a page draws no more often
_HEARTBEAT_S = 1.0
LOOKS_WITHIN_S = 30.0
"""Until then, a page has acknowledged a message, or nobody looks at it."""

_MALFORMED, _ASLEEP = 1007, 1008    # RFC 6455, 7.4.1


def refuse(handler: RequestHandler, problem: str) -> None:
    """Answer a request with 403, and why."""
    handler.set_status(403)
    handler.set_header('Content-Type', 'text/plain; charset=utf-8')
    handler.finish(problem + '\n')


class PageSocket(WebSocketHandler):
    """Connects a page with the source."""

    def initialize(self, *, pages: Pages, source: Source, access: Access) -> None:
        """Take what the server has."""
        self._pages, self._source, self._access = pages, source, access
        self.node: str | None = None
        self.wants_picture = False
        self._outbox = Outbox()
        self._news, self._acknowledged = asyncio.Event(), asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def prepare(self) -> None:
        """Refuse pages of others."""
        host, origin = self.request.headers.get('Host'), self.request.headers.get('Origin')
        problem = (self._access.host_problem(host) or self._access.origin_problem(origin, host)
                   or ('too many pages are open' if len(self._pages) >= _MOST_PAGES else None))
        if problem:
            refuse(self, problem)

    def check_origin(self, origin: str) -> bool:
        """Leave it to `prepare`, which is asked where there is no origin, too."""
        return True

    def open(self, *_: str, **__: str) -> None:
        """Begin to send."""
        self.set_nodelay(True)
        self._pages.add(self)
        self._start(self._deliver())

    def on_close(self) -> None:
        """Stop."""
        self._pages.remove(self)
        for task in self._tasks:
            task.cancel()

    def send(self, key: str, value: Any) -> None:
        """Let the page have something as soon as it can take it."""
        self._outbox.put(key, value)
        self._news.set()

    def on_message(self, message: str | bytes) -> None:
        """Do what the page asks for."""
        kinds = {'hello': self._on_hello, 'show': self._on_show, 'ack': self._on_ack,
                 'set': self._on_set}
        try:
            asked = json.loads(message)
            kinds[asked['type']](asked)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            self.close(_MALFORMED, 'not a message of this page')

    def _on_hello(self, asked: dict[str, Any]) -> None:
        self.send('hello', {'version': __version__,
                            'problem': self._access.change_problem(asked['token'])})

    def _on_show(self, asked: dict[str, Any]) -> None:
        node = asked['node']
        if node is not None and not isinstance(node, str):
            raise TypeError(node)
        if node != self.node:
            self._outbox.clear_node()
        self.node, self.wants_picture = node, bool(asked['picture'])
        self._pages.changed(self)

    def _on_ack(self, asked: dict[str, Any]) -> None:
        self._acknowledged.set()

    def _on_set(self, asked: dict[str, Any]) -> None:
        threshold, number = asked['threshold'], asked['number']
        if type(threshold) not in (int, float) or not math.isfinite(threshold):
            raise TypeError(threshold)
        problem = self._access.change_problem(asked['token'])
        if problem is None and self.node is None:
            problem = 'choose a node first'
        if problem is not None:
            self.send('answer', {'number': number, 'problem': problem})
        else:
            assert self.node is not None
            self._start(self._set(self.node, float(threshold), number))

    async def _set(self, node: str, threshold: float, number: object) -> None:
        problem = await self._source.set_threshold(node, threshold)
        self.send('answer', {'number': number, 'problem': problem})

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)    # the loop itself does not keep it
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self) -> None:
        with contextlib.suppress(WebSocketClosedError):
            while True:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._news.wait(), _HEARTBEAT_S)
                self._news.clear()
                values, picture = self._outbox.take()
                await self._write(json.dumps({**values, 'now_s': time.monotonic()}))
                if picture is not None:
                    await self._write(picture)
                await asyncio.sleep(_PERIOD_S)

    async def _write(self, message: str | bytes) -> None:
        self._acknowledged.clear()
        sent = self.write_message(message, binary=isinstance(message, bytes))
        try:
            await asyncio.wait_for(self._until_acknowledged(sent), LOOKS_WITHIN_S)
        except asyncio.TimeoutError:
            self.close(_ASLEEP, 'the page acknowledges nothing')
            raise WebSocketClosedError from None

    async def _until_acknowledged(self, sent: Awaitable[None]) -> None:
        await sent
        await self._acknowledged.wait()
