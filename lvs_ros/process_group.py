# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Processes that were started in a group of their own."""

import os
import signal
import subprocess
from typing import Any

_STOP_S = 5.0


def end_group(process: 'subprocess.Popen[Any]') -> None:
    """End a process and its group, politely at first; returns once the process has ended.

    :param process: started with ``start_new_session=True``
    """
    for number, patience_s in ((signal.SIGINT, _STOP_S), (signal.SIGTERM, _STOP_S),
                               (signal.SIGKILL, None)):
        if process.poll() is not None:
            break
        os.killpg(process.pid, number)
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            continue
