# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Nodes as processes: started, measured from outside, and ended with their parent."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

import psutil

from lvs_ros.options import PipelineOptions

_LAST_LINES = 15
_STOP_S = 5.0
_POLL_S = 0.1
_IDLE_PERCENT = 10.0

# What lvs_ros.program_settings tells the C library for the node: without it, an echo of large
# images is slower by the page faults of its buffers, which has nothing to do with DDS.
_KEEP_FREED_MEMORY = {'MALLOC_TRIM_THRESHOLD_': str((1 << 31) - 1),
                      'MALLOC_MMAP_THRESHOLD_': str(32 << 20)}


class NodeProcess:
    """A process in a group of its own; a context manager, which ends it.

    Ctrl-C in the terminal reaches only its parent.

    :param name: for messages about it.
    :param module: run as ``python -m``.
    :param words: its arguments.
    :param environment: added to that of the parent.
    """

    def __init__(self, name: str, module: str, words: Sequence[str], *,
                 environment: Mapping[str, str]) -> None:
        self.name = name
        # Opened for appending: the process shares the position, which reading moves.
        self._output = tempfile.TemporaryFile('a+', errors='replace')
        self._process = subprocess.Popen(
            [sys.executable, '-m', module, *words],
            env={**os.environ, 'PYTHONUNBUFFERED': '1', **environment}, stdin=subprocess.DEVNULL,
            stdout=self._output, stderr=subprocess.STDOUT, start_new_session=True)
        self._usage = psutil.Process(self._process.pid)

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal's number when a signal ended it."""
        return self._process.poll()

    def last_output(self) -> str:
        """Return its last lines."""
        return '\n'.join(self._lines()[-_LAST_LINES:]).rstrip() or '(nothing)'

    def find_output(self, start: str) -> str | None:
        """Return the rest of the last line that begins with a text; None before it came."""
        return next((line[len(start):] for line in reversed(self._lines())
                     if line.startswith(start)), None)

    def longest_line(self) -> int:
        """Return the length of the longest line of its output."""
        return max(map(len, self._lines()), default=0)

    def _lines(self) -> list[str]:
        self._output.seek(0)
        return self._output.read().split('\n')

    def memory_bytes(self) -> int:
        """Return its resident memory; 0 once it has ended."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return self._usage.memory_info().rss
        return 0

    def wait_until_idle(self, timeout_s: float) -> None:
        """Return once it uses next to no processor time or has ended, or after the timeout."""
        deadline_s = time.monotonic() + timeout_s
        with contextlib.suppress(psutil.NoSuchProcess):
            while (self._usage.cpu_percent(_POLL_S) > _IDLE_PERCENT
                   and time.monotonic() < deadline_s):
                pass

    def stop(self) -> None:
        """End it and its group: SIGINT, SIGTERM, SIGKILL; return once it has ended."""
        for number, patience_s in ((signal.SIGINT, _STOP_S), (signal.SIGTERM, _STOP_S),
                                   (signal.SIGKILL, None)):
            if self._process.poll() is not None:
                break
            os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience_s)

    def __enter__(self) -> NodeProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._output.close()


def start_segmentation_node(options: PipelineOptions, *, size: tuple[int, int], domain_id: int,
                            name: str = 'lvs', **others: Any) -> NodeProcess:
    """Start the segmentation node.

    :param options: its parameters.
    :param size: (width, height) of the images, for its warm-up.
    :param name: of the node.
    :param others: more parameters.
    """
    parameters = {**dataclasses.asdict(options), 'warm_up_size': size, **others}
    words = ['--ros-args', '-r', f'__node:={name}']
    for parameter, value in parameters.items():
        words += ['-p', f'{parameter}:={json.dumps(value)}']
    return NodeProcess('the node', 'lvs_ros.node.executable', words,
                       environment={'ROS_DOMAIN_ID': str(domain_id)})


def start_echo_node(name: str, *, domain_id: int) -> NodeProcess:
    """Start an echo node.

    :param name: of the node.
    """
    return NodeProcess(name, 'lvs_ros.tool_nodes.echo_node',
                       ['--ros-args', '-r', f'__node:={name}'],
                       environment={'ROS_DOMAIN_ID': str(domain_id), **_KEEP_FREED_MEMORY})
