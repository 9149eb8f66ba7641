# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""S_h without a pause: the hardest that can happen to the frames beside it."""

import dataclasses
from typing import Any, Optional

import torch

from lvs_ros.pipeline.execution import Executor, Job


class BusyExecutor:
    """An executor whose jobs may begin again until a newer one comes.

    :param executor: computes; closed with this one
    :ivar repeats: whether they do; if not, it is as the other executor
    :ivar runs: of S_h that have ended
    """

    def __init__(self, executor: Executor) -> None:
        self.repeats, self.runs = False, 0
        self._executor = executor
        self._newest: Optional[Job] = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._executor, name)

    def submit(self, job: Job) -> None:
        """Compute a job, and then again; flip averaging would be a pause."""
        self._newest = job
        self._executor.submit(self._counted(job))

    def cancel(self) -> None:
        """Forget all jobs."""
        self._newest = None
        self._executor.cancel()

    def _counted(self, job: Job) -> Job:
        def compute() -> torch.Tensor:
            high = job.compute()
            self.runs += 1
            if self.repeats and self._newest is job:
                self._executor.submit(self._counted(job))
            return high

        return dataclasses.replace(job, compute=compute,
                                   refine=None if self.repeats else job.refine)
