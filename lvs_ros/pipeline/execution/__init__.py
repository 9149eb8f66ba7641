# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Executors: when frames and S_h are computed, in which thread, on which cores."""

from lvs_ros.pipeline.execution.choice import choose_executor
from lvs_ros.pipeline.execution.executor import Executor
from lvs_ros.pipeline.execution.job import Job, JobResult
from lvs_ros.pipeline.execution.partitioned import PartitionedExecutor
from lvs_ros.pipeline.execution.simulated import SimulatedExecutor
from lvs_ros.pipeline.execution.time_sliced import TimeSlicedExecutor

__all__ = ['Executor', 'Job', 'JobResult', 'PartitionedExecutor', 'SimulatedExecutor',
           'TimeSlicedExecutor', 'choose_executor']
