# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Stands for the executors until they are merged: take theirs."""

import dataclasses

from lvs_ros.errors import ConfigurationError


@dataclasses.dataclass(frozen=True)
class SimulatedExecutor:
    """Results of S_h enter after a stated time of the stamps.

    :param delay_s: how long S_h takes, and refining its result once more, in stamp time
    :param threads: CPU threads; 0 = all
    """

    delay_s: float
    threads: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.delay_s < float('inf'):
            raise ConfigurationError(f'the simulated duration of S_h is {self.delay_s} s: '
                                     'expected 0 or more')
