# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""ROS domains on this machine, by the ports that their participants listen at."""

import contextlib
import fcntl
import os
import pathlib
import random
import socket
import tempfile
from typing import Iterator

import pytest

# On Linux domains above 101 use ports that the system also hands out to other programs, and 0
# is where every robot of the neighbourhood is.
DOMAIN_IDS = range(1, 102)

_FIRST_PORT = 7400
_PORTS = 250
"""DDS numbers its ports (RTPS 2.5, 9.6.2.3): so many for each domain, one after the other."""


@contextlib.contextmanager
def entered() -> Iterator[int]:
    """Enter a domain that nobody else is in, together with the processes started meanwhile.

    :return: the domain's id, set as ``ROS_DOMAIN_ID`` before ``rclpy.init`` reads it.
    """
    folder = pathlib.Path(tempfile.gettempdir()) / f'lvs_ros_domains_{os.getuid()}'
    folder.mkdir(exist_ok=True)
    for domain_id in random.sample(DOMAIN_IDS, len(DOMAIN_IDS)):
        with open(folder / str(domain_id), 'w', encoding='ascii') as lock:
            try:
                # Another pytest process may run at the same time; the system frees the lock of
                # one that dies.
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            # A lifecycle node that a test has destroyed is in its domain until the garbage
            # collector finds it, for rclpy keeps it in a cycle of references.
            if not is_empty(domain_id):
                continue
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv('ROS_DOMAIN_ID', str(domain_id))
                patch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
                patch.delenv('ROS_STATIC_PEERS', raising=False)
                patch.delenv('ROS_LOCALHOST_ONLY', raising=False)  # it overrides the range
                yield domain_id
            return
    pytest.fail(f'all ROS domains of {DOMAIN_IDS} are in use')


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
