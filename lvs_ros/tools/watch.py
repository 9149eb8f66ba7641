# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs watch``: a page in the browser that shows running nodes and sets their threshold."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
from collections.abc import Sequence

from lvs_ros import exit_codes
from lvs_ros.errors import ConfigurationError, ros_needed
from lvs_ros.shared_memory import prepare_shared_memory
from lvs_ros.tools.interruption import interrupted_once
from lvs_ros.watch.access import ANY_ADDRESS, Access
from lvs_ros.watch.server import listen, serve
from lvs_ros.watch.source import Source

PORT = 8650
_LAST_PORT = 65535
_NICENESS = 10    # the node may run on the same cores


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``lvs watch``."""
    parser.add_argument('--host', metavar='ADDRESS', default='127.0.0.1',
                        help='address to listen at; 0.0.0.0: all of this computer, so that others '
                             'in the network can open the page, too (default: %(default)s)')
    parser.add_argument('--port', metavar='N', type=int, default=PORT,
                        help='0: a free one (default: %(default)s)')
    parser.add_argument('--read-only', action='store_true',
                        help='let nobody change anything; the address then has no token')
    parser.add_argument('--domain-id', metavar='N', type=int,
                        help="ROS domain (default: the environment's)")


def run(args: argparse.Namespace) -> int:
    """Serve the page until told to stop."""
    if not 0 <= args.port <= _LAST_PORT:
        raise ConfigurationError(f'--port {args.port}: expected 0 to {_LAST_PORT}')
    sockets = listen(args.host, args.port)
    access = Access(args.host, read_only=args.read_only)
    prepare_shared_memory('lvs watch')
    with ros_needed('lvs watch'):
        from lvs_ros.tool_nodes.watch_node import WatchNode
    os.nice(_NICENESS)
    with interrupted_once(), WatchNode(domain_id=args.domain_id) as node:
        print(f'{address(args.host, sockets[0].getsockname()[1], access)} (Ctrl-C to stop)',
              flush=True)
        asyncio.run(_serve_until_stopped(node, access, sockets))
    return exit_codes.OK


def address(host: str, port: int, access: Access) -> str:
    """Return what to type into a browser, with the token where there is one."""
    name = socket.gethostname() if host in ANY_ADDRESS else host
    token = '' if access.token is None else f'#token={access.token}'
    return f'http://{f"[{name}]" if ":" in name else name}:{port}/{token}'


async def _serve_until_stopped(source: Source, access: Access,
                               sockets: Sequence[socket.socket]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, source.end)
    await serve(source, access, sockets)
