# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Programs that a tool starts and never leaves behind."""

from __future__ import annotations

import collections
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType

from lvs_ros.process_group import end_group

_KEPT_LINES = 40


class ChildProcess:
    """A program in a process group of its own, with its last output; a context manager.

    Ctrl-C in the terminal reaches only the parent, which then ends the children one by one.

    :param name: what people call it.
    :param command: program and arguments.
    :param environment: added to that of the parent.
    """

    def __init__(self, name: str, command: Sequence[str], *,
                 environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._lines: collections.deque[str] = collections.deque(maxlen=_KEPT_LINES)
        self._process = subprocess.Popen(
            command, env={**os.environ, 'PYTHONUNBUFFERED': '1', **(environment or {})},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors='replace', start_new_session=True)
        # Somebody must read, or the child would wait with a full pipe.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Its process id, which is also that of its group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal's number when a signal ended it."""
        return self._process.poll()

    def find_output(self, start: str) -> str | None:
        """Return the rest of the last line that begins with a text; None before it came."""
        for line in reversed(tuple(self._lines)):
            if line.startswith(start):
                return line[len(start):]
        return None

    def last_output(self) -> str:
        """Return its last lines."""
        if self.exit_code is not None:
            self._reader.join(timeout=1.0)
        return '\n'.join(self._lines)

    def stop(self) -> None:
        """End it, politely at first."""
        end_group(self._process)
        self._reader.join(timeout=1.0)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self._lines.append(line.rstrip())

    def __enter__(self) -> ChildProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.stop()
