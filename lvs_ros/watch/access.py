# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Who may read the page, and who may change a node.

Whatever page is open in a browser can send requests to this computer. Two things tell them apart:

- the Host header. A foreign page can let its own name point here (DNS rebinding), and would then
  be of the same origin; so the name must be one of this server's. The port may be another one,
  as it is where ssh forwards one: the browser takes it from the address, no page can choose it.
- the Origin header. A web socket can be opened from any page, and its Origin says from which.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from urllib.parse import urlsplit

ANY_ADDRESS = ('', '0.0.0.0', '::')
"""What stands for all addresses of this computer."""

_LOOPBACK = frozenset({'localhost', '127.0.0.1', '::1'})
_WITHOUT_TOKEN = ('without the token this page only shows: open the address that lvs watch has '
                  'printed, with all that stands behind the #')
_READ_ONLY = 'lvs watch was started with --read-only: nothing can be changed from here'


class Access:
    """The rules of one server.

    :param host: the address that it listens at, as the user gave it.
    :param read_only: nobody may change anything.
    """

    def __init__(self, host: str, *, read_only: bool = False) -> None:
        self._any_address = host in ANY_ADDRESS
        self._names = _names(host)
        self.token = None if read_only else secrets.token_urlsafe(24)

    def host_problem(self, host: str | None) -> str | None:
        """Say what is wrong with a Host header; None if it names this server."""
        try:
            parts = urlsplit(f'//{host}')
            name, _ = parts.hostname or '', parts.port    # which raises for a strange one
        except ValueError:
            name = ''
        # No name is behind a number, and so no foreign page.
        if name in self._names or self._any_address and _is_number(name):
            return None
        return (f'the Host of the request is {host!r:.80}, which is not an address of this page: '
                f'expected {", ".join(sorted(self._names))}; lvs watch --host sets another one')

    def origin_problem(self, origin: str | None, host: str | None) -> str | None:
        """Say what is wrong with an Origin header; None if it is a page of this server."""
        if origin is not None and origin.lower() == f'http://{host}'.lower():
            return None
        return f'the request comes from {origin!r:.80}: expected this page itself, http://{host}'

    def change_problem(self, token: object) -> str | None:
        """Say why nothing may be changed with this token; None if it may."""
        if self.token is None:
            return _READ_ONLY
        given = token if isinstance(token, str) else ''
        # takes as long for each wrong token
        return None if hmac.compare_digest(given.encode(), self.token.encode()) else _WITHOUT_TOKEN


def _names(host: str) -> frozenset[str]:
    if host in _LOOPBACK:
        return _LOOPBACK
    computer = socket.gethostname().lower()
    names = {host.lower(), computer, f'{computer}.local'}
    return frozenset(names | _LOOPBACK if host in ANY_ADDRESS else names) - {''}


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
