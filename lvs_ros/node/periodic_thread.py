# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Work that goes on whatever the thread of the executor does."""

from __future__ import annotations

import threading
from typing import Callable


class PeriodicThread:
    """Calls a function again and again in a thread of its own, until it is stopped.

    :param function: raises nothing.
    :param period_s: from call to call, on a steady clock.
    """

    def __init__(self, function: Callable[[], None], *, period_s: float, name: str) -> None:
        self._function, self._period_s = function, period_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.wait(self._period_s):
            self._function()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Return when the last call has ended, at the latest after ``timeout_s``."""
        self._stopped.set()
        self._thread.join(timeout_s)
