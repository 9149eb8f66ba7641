# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""ROS domains on this machine, by the ports that their participants listen at."""

import socket

_FIRST_PORT = 7400
_PORTS = 250
"""DDS numbers its ports (RTPS 2.5, 9.6.2.3): so many for each domain, one after the other."""


def is_empty(domain_id: int) -> bool:
    """Return whether no participant on this machine is in a domain."""
    first = _FIRST_PORT + _PORTS * domain_id
    return all(_is_free(port) for port in range(first, first + _PORTS))


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(('', port))
        except OSError:
            return False
    return True
