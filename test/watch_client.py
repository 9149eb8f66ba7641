# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The server of ``lvs watch`` in a thread, and a page without a browser."""

import asyncio
import contextlib
import json
import threading
from typing import Any, Callable, Iterator

from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClosedError, websocket_connect

from lvs_ros.watch.access import Access
from lvs_ros.watch.server import listen, serve
from lvs_ros.watch.source import Source

TIMEOUT_S = 60


class Page:
    """An open page: acknowledges what comes, and keeps it."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self.values: dict[str, Any] = {}
        """The newest of each key."""
        self.frames: list[dict[str, Any]] = []
        self.pictures: list[bytes] = []
        self._number = 0

    @classmethod
    async def open(cls, port: int, *, origin: str | None = None,
                   host: str | None = None) -> 'Page':
        """Open the web socket as a page of an origin does.

        :param origin: None = that of the page itself.
        :raises tornado.httpclient.HTTPClientError: it was refused.
        """
        host = host or f'127.0.0.1:{port}'
        headers = {'Host': host, 'Origin': f'http://{host}' if origin is None else origin}
        return cls(await websocket_connect(HTTPRequest(
            f'ws://127.0.0.1:{port}/socket', headers=headers)))

    async def send(self, type: str, **fields: Any) -> None:
        """Send a message."""
        await self._socket.write_message(json.dumps({'type': type, **fields}))

    async def show(self, node: str | None, *, picture: bool = True) -> None:
        """Show a node; None: be hidden."""
        await self.send('show', node=node, picture=picture)

    async def set(self, threshold: Any, token: Any) -> str | None:
        """Set the threshold; return why it was refused, or None."""
        self._number += 1
        await self.send('set', threshold=threshold, token=token, number=self._number)
        await self.until(lambda: self.values.get('answer', {}).get('number') == self._number)
        return self.values['answer']['problem']

    async def until(self, is_done: Callable[[], Any], *, acknowledge: bool = True) -> None:
        """Take messages until a condition holds."""
        async def take() -> None:
            while not is_done():
                await self._take(acknowledge)

        await asyncio.wait_for(take(), TIMEOUT_S)

    async def _take(self, acknowledge: bool) -> None:
        message = await self._socket.read_message()
        assert message is not None, 'the connection was closed'
        if isinstance(message, bytes):
            self.pictures.append(message)
        else:
            values = json.loads(message)
            self.frames += values.pop('frames', [])
            self.values.update(values)
        if acknowledge:
            await self.send('ack')

    async def closed(self) -> tuple[int | None, str | None]:
        """Wait until the server has closed it; return the code and its reason."""
        while await asyncio.wait_for(self._socket.read_message(), TIMEOUT_S) is not None:
            with contextlib.suppress(WebSocketClosedError):
                await self.send('ack')
        return self._socket.close_code, self._socket.close_reason

    def close(self) -> None:
        """Close the page."""
        self._socket.close()


@contextlib.contextmanager
def served(source: Source, access: Access) -> Iterator[int]:
    """Serve in a thread of its own; the value is the port."""
    sockets = listen('127.0.0.1', 0)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(serve(source, access, sockets))
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield sockets[0].getsockname()[1]
    finally:
        source.end()
        thread.join(TIMEOUT_S)
        assert not thread.is_alive() and not failures, failures
