# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Lets the node end with the ``ros2 launch`` that started it.

launch ends its processes at Ctrl-C. At SIGTERM or SIGKILL it is gone before them, and they run on
with nobody to stop them. The launch file tells the node the launcher's process in a variable; a
node that was started otherwise (nohup, systemd, a container) has no such variable and looks at
nothing.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator, Mapping

VARIABLE = 'LVS_LAUNCHER_PID'
_PATIENCE_S = 10.0    # launch itself kills a process 10 s after it was told to stop


def launcher_environment() -> dict[str, str]:
    """Return the variable by which a process ends with this one."""
    return {VARIABLE: str(os.getpid())}


@contextlib.contextmanager
def ended_with_launcher(environ: Mapping[str, str], *, patience_s: float = _PATIENCE_S
                        ) -> Iterator[None]:
    """Send this process SIGTERM in this block, when the launcher that the environment names dies.

    Not by PR_SET_PDEATHSIG: that comes when the *thread* ends that has started the process.

    :param patience_s: from SIGTERM to SIGKILL, for a process that does not end.
    """
    launcher = _open(environ.get(VARIABLE, ''))
    if launcher is None:
        yield
        return
    is_left, leave = os.pipe()
    # No daemon: those count as busy with something that cannot be stopped (lvs_ros.node.main).
    thread = threading.Thread(target=_watch, args=(launcher, is_left, patience_s),
                              name='launcher watch')
    thread.start()
    try:
        yield
    finally:
        os.write(leave, b'.')
        thread.join()
        for descriptor in (leave, is_left, launcher):
            os.close(descriptor)


def _open(text: str) -> int | None:
    """Return a file descriptor that can be read once the launcher has died; None without one."""
    if not text:
        return None
    try:
        return os.pidfd_open(int(text))
    except ProcessLookupError:    # it died before this process came here
        _stop()
    except (OSError, ValueError, OverflowError) as error:
        _say(f'warning: {VARIABLE}={text}: this node may outlive its launch file: {error}')
    return None


def _watch(launcher: int, is_left: int, patience_s: float) -> None:
    """Wait for the launcher's death; return at once when ``is_left`` can be read."""
    poll = select.poll()
    poll.register(launcher, select.POLLIN)
    poll.register(is_left, select.POLLIN)
    if any(descriptor == is_left for descriptor, _ in poll.poll()):
        return
    _stop()
    poll.unregister(launcher)
    if not poll.poll(1e3 * patience_s):
        os.kill(os.getpid(), signal.SIGKILL)


def _stop() -> None:
    _say('the process that launched this node has died: shutting down')
    os.kill(os.getpid(), signal.SIGTERM)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):    # the launcher had the other end of it
        print(f'lvs_node: {text}', file=sys.stderr, flush=True)
