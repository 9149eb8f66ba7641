# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which executor suits a computer."""

import torch

from lvs_ros.backends.cuda.pieces import PiecesInFlight
from lvs_ros.backends.cuda.streams import own_stream
from lvs_ros.cpus import available_cpus
from lvs_ros.pipeline.execution.executor import Executor
from lvs_ros.pipeline.execution.frame_priority import FramePriority
from lvs_ros.pipeline.execution.partitioned import PartitionedExecutor
from lvs_ros.pipeline.execution.time_sliced import TimeSlicedExecutor
from lvs_ros.pipeline.threads import core_numbers

_MOST_TIME_SLICED = 3    # threads; with more, frames and S_h have enough of their own


def choose_executor(device: torch.device, *, cpu_threads: int = 0, realtime_priority: int = 0
                    ) -> Executor:
    """Return an executor: time-sliced on a GPU and up to three CPU threads, else partitioned.

    :param cpu_threads: of frames and S_h; 0 = all that this process may use
    :param realtime_priority: of frames, see
        :class:`~lvs_ros.pipeline.execution.frame_priority.FramePriority`
    """
    priority = FramePriority(realtime_priority)
    if device.type == 'cuda':
        return TimeSlicedExecutor(priority=priority, wait_for_device=PiecesInFlight(device).wait,
                                  context=lambda: own_stream(device))
    threads, numbers = cpu_threads or available_cpus(), core_numbers()
    if threads > _MOST_TIME_SLICED:
        return PartitionedExecutor(threads=threads, priority=priority)
    return TimeSlicedExecutor(threads=threads, priority=priority,
                              cores=numbers if threads == len(numbers) else ())
