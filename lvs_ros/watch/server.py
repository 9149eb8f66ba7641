# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The web server of ``lvs watch``: one page, its files, and its web socket."""

from __future__ import annotations

import pathlib
import socket
from collections.abc import Sequence

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler

from lvs_ros.errors import ConfigurationError
from lvs_ros.watch.access import Access
from lvs_ros.watch.page_socket import PageSocket, refuse
from lvs_ros.watch.pages import Pages
from lvs_ros.watch.source import Source

_FOLDER = pathlib.Path(__file__).parent / 'page'
_TYPES = {'.html': 'text/html; charset=utf-8', '.css': 'text/css; charset=utf-8',
          '.js': 'text/javascript; charset=utf-8', '.svg': 'image/svg+xml'}
_HEADERS = {
    # Nothing from anywhere else, and inside of no other page.
    'Content-Security-Policy': "default-src 'none'; script-src 'self'; style-src 'self'; "
                               "img-src 'self'; connect-src 'self'; base-uri 'none'; "
                               "form-action 'none'; frame-ancestors 'none'",
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
    'Cache-Control': 'no-store',    # of another version after an update
    'Server': 'lvs watch'}
_PING_S = 10.0    # a page that is gone without a word is noticed after this long
_MOST_BYTES = 4096    # of a message from a page


class PageFile(RequestHandler):
    """A file of the page."""

    def initialize(self, *, access: Access, files: dict[str, bytes]) -> None:
        """Take what the server has."""
        self._access, self._files = access, files

    def set_default_headers(self) -> None:
        """Forbid what the page does not need."""
        for name, value in _HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        """Refuse a page that has another name point here."""
        problem = self._access.host_problem(self.request.headers.get('Host'))
        if problem:
            refuse(self, problem)

    def get(self, name: str) -> None:
        """Answer with a file of the folder, and with no other one."""
        name = name or 'index.html'
        if name not in self._files:
            raise HTTPError(404)
        self.set_header('Content-Type', _TYPES[pathlib.PurePath(name).suffix])
        self.finish(self._files[name])


def listen(host: str, port: int) -> list[socket.socket]:
    """Return the sockets of an address.

    :param port: 0: a free one.
    :raises ConfigurationError: the address cannot be had.
    """
    try:
        return bind_sockets(port, host)
    except (OSError, UnicodeError) as error:    # the latter for what cannot be a name
        raise ConfigurationError(
            f'cannot listen at {host}, port {port}: {getattr(error, "strerror", error)}; '
            'expected an address of this computer and a port that no other program has: '
            '--host, --port') from error


async def serve(source: Source, access: Access, sockets: Sequence[socket.socket]) -> None:
    """Serve the page until the source ends.

    :param source: of what it shows.
    :param sockets: where it listens, from :func:`listen`.
    """
    pages = Pages(source)
    files = {path.name: path.read_bytes() for path in _FOLDER.iterdir()}
    server = HTTPServer(Application(
        [('/socket', PageSocket, {'pages': pages, 'source': source, 'access': access}),
         ('/(.*)', PageFile, {'access': access, 'files': files})],
        websocket_ping_interval=_PING_S, websocket_ping_timeout=_PING_S,
        websocket_max_message_size=_MOST_BYTES, log_function=lambda handler: None),
        idle_connection_timeout=60, max_header_size=16384, max_body_size=_MOST_BYTES)
    server.add_sockets(sockets)
    try:
        await source.run(pages.tell)
    finally:
        server.stop()
        pages.close()
        await server.close_all_connections()
