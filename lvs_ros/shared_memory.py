# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whether there is enough shared memory for images over Fast DDS, and the transport if not.

To be called before rclpy is imported: the tracing library that comes with it reads a page of
/dev/shm when it is loaded, and where none is free the system kills the process with SIGBUS.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, MutableMapping

from lvs_ros.dds_profile import (PROFILE_VARIABLES, TRANSPORTS_VARIABLE, is_own_profile,
                                 large_image_environment)
from lvs_ros.errors import SharedMemoryError

FOLDER = '/dev/shm'
LARGE_SEGMENT_BYTES = 72_000_000
"""What a process takes with config/fastdds_large_images.xml: 64 MiB of images and 5 % to manage
them, the half megabyte that rmw_fastrtps adds within one computer, and the ports. Measured."""
DEFAULT_SEGMENT_BYTES = 1_000_000
"""What it takes without: half a megabyte of images, and the ports. Measured."""

_FEW_BYTES = 64 * 1024
_FEW_FILES = 16
_CARRIED_BY_DEFAULT_BYTES = 512 * 1024
_CARRIED_BY_UDP_BYTES = 64 * 1024
# A burst of datagrams waits in the socket's buffer. Of 20 images of 640x480, best effort, 20 came
# with this size and 8 with the usual one.
_UDP_ONLY = 'UDPv4?sockets_size=4MB'
_REMEDY = ('Give it more: docker run --shm-size=1g (or --ipc=host), compose shm_size: 1gb, else '
           'mount -o remount,size=1g /dev/shm; what programs that are gone have left there may '
           'be removed')


@dataclasses.dataclass(frozen=True)
class Transport:
    """How this process is to send.

    :param environment: variables to set; None = to remove.
    :param warning: what the user should know, or None.
    """

    environment: Mapping[str, str | None]
    warning: str | None = None


def free_bytes(folder: str = FOLDER) -> int:
    """Return how many bytes can still be written there; 0 where nothing can."""
    try:
        system = os.statvfs(folder)
    except OSError:
        return 0
    has_files = not system.f_files or system.f_favail >= _FEW_FILES
    return system.f_bavail * system.f_frsize if has_files and os.access(folder, os.W_OK) else 0


def choose_transport(environ: Mapping[str, str], free: int) -> Transport:
    """Choose how images are sent.

    :param environ: the environment of the process; what the user chose there is kept.
    :param free: bytes of shared memory that are free.
    """
    if not _is_fast_dds(environ):
        return Transport({})
    profiles = [name for name in PROFILE_VARIABLES if environ.get(name)]
    chosen = [name for name in profiles if not is_own_profile(environ[name])]
    if environ.get(TRANSPORTS_VARIABLE):
        return Transport({})
    if chosen:
        return Transport({}, None if free >= DEFAULT_SEGMENT_BYTES else (
            f'{_there_is(free)}, where Fast DDS needs {_mb(DEFAULT_SEGMENT_BYTES)} and more in '
            f'each process; {chosen[0]}={environ[chosen[0]]} is kept. {_REMEDY}'))
    if free >= LARGE_SEGMENT_BYTES:
        return Transport(large_image_environment(environ))
    environment: dict[str, str | None] = dict.fromkeys(profiles)
    need = (f'{_there_is(free)}; each process that sends large images needs '
            f'{_mb(LARGE_SEGMENT_BYTES)}')
    if free >= DEFAULT_SEGMENT_BYTES:
        way = ('the half megabyte that Fast DDS takes by itself: images of more than that will '
               'hardly arrive')
    else:
        environment[TRANSPORTS_VARIABLE] = _UDP_ONLY
        way = 'UDP, without shared memory: large images, sent best effort, will often get lost'
    return Transport(environment, f'{need}. Going on with {way}. {_REMEDY}')


def prepare_shared_memory(program: str, *, environ: MutableMapping[str, str] = os.environ) -> None:
    """Set the environment for sending images, and say on stderr where they will not get through.

    :param program: that says it.
    :param environ: is changed.
    :raises SharedMemoryError: nothing is free, and ROS cannot even be loaded.
    """
    free = free_bytes()
    if free < _FEW_BYTES and 'rclpy' not in sys.modules:
        _try_to_load_ros(free)
    transport = choose_transport(environ, free)
    for name, value in transport.environment.items():
        if value is None:
            del environ[name]
        else:
            environ[name] = value
    if transport.warning is not None:
        print(f'{program}: warning: {transport.warning}', file=sys.stderr, flush=True)


def image_warning(environ: Mapping[str, str], width: int, height: int) -> str | None:
    """Say that colour images of this size are too large for the way that was chosen.

    :return: None where they are not, or where the way is the user's own.
    """
    size = 3 * width * height
    if environ.get(TRANSPORTS_VARIABLE) == _UDP_ONLY:
        carried = _CARRIED_BY_UDP_BYTES
    elif not _is_fast_dds(environ) or any(
            environ.get(name) for name in (*PROFILE_VARIABLES, TRANSPORTS_VARIABLE)):
        return None
    else:
        carried = _CARRIED_BY_DEFAULT_BYTES
    if size <= carried:
        return None
    return (f'an rgb8 image of {width}x{height} has {_mb(size)}, and what this process can send '
            f'without loss is {_mb(carried)}: {_there_is(free_bytes())}. {_REMEDY}')


def _try_to_load_ros(free: int) -> None:
    """Try it in a child process, which SIGBUS may kill."""
    child = subprocess.run([sys.executable, '-c', 'import rclpy'], stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    if child.returncode == -signal.SIGBUS:
        raise SharedMemoryError(f'{_there_is(free)}, too little for ROS to be loaded (it would '
                                f'be killed by SIGBUS). {_REMEDY}')


def _is_fast_dds(environ: Mapping[str, str]) -> bool:
    # ROS comes with Fast DDS as its default.
    return 'fastrtps' in (environ.get('RMW_IMPLEMENTATION') or 'rmw_fastrtps_cpp')


def _there_is(free: int) -> str:
    try:
        system = os.statvfs(FOLDER)
    except OSError:
        return f'{FOLDER} (shared memory) is not there'
    total = system.f_blocks * system.f_frsize
    return f'{FOLDER} (shared memory) has {_mb(free)} free of {_mb(total)}'


def _mb(count: int) -> str:
    return f'{count / 1e6:.3g} MB' if count else 'nothing'
