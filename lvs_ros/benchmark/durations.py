# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is told of many durations: the usual one, and the bad ones."""

import dataclasses
from typing import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Durations:
    """Percentiles and maximum, in milliseconds.

    :param count: of how many durations
    """

    p50: float
    p95: float
    p99: float
    worst: float
    count: int

    @classmethod
    def of(cls, durations_ms: Sequence[float]) -> 'Durations':
        """Summarise durations.

        :param durations_ms: at least one, milliseconds
        """
        p50, p95, p99, worst = map(float, np.percentile(durations_ms, (50, 95, 99, 100)))
        return cls(p50, p95, p99, worst, count=len(durations_ms))
