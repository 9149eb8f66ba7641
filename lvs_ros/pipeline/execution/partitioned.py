# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Frames in the calling thread, S_h in a worker on cores of its own: where there are enough.

It needs no checkpoints; those that there are let a job be cancelled.
"""

import os
import threading
from typing import Callable, Optional, TypeVar

import torch

from lvs_ros.checkpoints import checkpoints
from lvs_ros.pipeline.execution.background import BackgroundExecutor
from lvs_ros.pipeline.execution.frame_priority import FramePriority
from lvs_ros.pipeline.execution.process_settings import ProcessSettings
from lvs_ros.pipeline.threads import team_threads

T = TypeVar('T')

_NICE_VALUE = 10    # of S_h, where other programs leave it no core


class PartitionedExecutor(BackgroundExecutor):
    """Computes frames in the thread that wants them, and S_h in a nice worker.

    :param threads: CPU threads of both together, 1 or more; half of them are the worker's. A
        thread of the frames that waits for its core holds up the others, and the frame with them,
        so there are no more of both than there are cores
    :param priority: of frames over other programs; None = they have none
    """

    def __init__(self, *, threads: int, priority: Optional[FramePriority] = None) -> None:
        self._job_threads = max(1, threads // 2)
        self.frame_threads, self.full_threads = max(1, threads - self._job_threads), threads
        self.description = f'partitioned, {self.frame_threads} + {self._job_threads} threads'
        self._priority = priority or FramePriority()
        super().__init__(ProcessSettings(
            torch_threads=self.frame_threads, opencv_threads=self.frame_threads))
        self._thread.start()

    def run(self, work: Callable[[], T], *, goes_on: bool = False) -> T:
        """Compute for a frame in the calling thread."""
        team = team_threads(self.frame_threads) if self._priority else ()
        with self._priority.raised(team):
            return work()

    def run_between(self, work: Callable[[], None]) -> None:
        """Do it here and now."""
        work()

    def _work(self) -> None:
        # OpenMP's threads inherit the nice value of the one that starts them.
        if hasattr(os, 'setpriority'):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE_VALUE)
        torch.set_num_threads(self._job_threads)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._waiting is not None)
                if self._closed:
                    return
            with checkpoints(self._check):
                self._run_job()
