# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is told of many durations: the usual one, and the bad ones."""

import dataclasses
from typing import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Durations:
    """Median, 99th percentile and maximum, in milliseconds.

    :param count: of how many durations
    """

    p50: float
    p99: float
    worst: float
    count: int

    @classmethod
    def of(cls, durations_ms: Sequence[float]) -> 'Durations':
        """Summarise durations.

        :param durations_ms: at least one, milliseconds
        :raises ValueError: when there is none.
        """
        if not durations_ms:
            raise ValueError('no durations: expected at least one')
        p50, p99 = np.percentile(durations_ms, (50, 99))
        return cls(p50=float(p50), p99=float(p99), worst=float(max(durations_ms)),
                   count=len(durations_ms))
