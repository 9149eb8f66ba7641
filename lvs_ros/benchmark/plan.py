# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is to be measured."""

import dataclasses
import math

from lvs_ros.benchmark.errors import BenchmarkError
from lvs_ros.options import PipelineOptions

_FEWEST_FRAMES = 3


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be measured.

    :param options: of the pipelines; what distinguishes the rows is changed
    :param model: what to call the model
    :param rate_hz: of the camera
    :param frames: to be measured a row
    :raises BenchmarkError: for what cannot be measured
    """

    options: PipelineOptions
    model: str
    rate_hz: float
    frames: int

    def __post_init__(self) -> None:
        if not 0 < self.rate_hz < math.inf:
            raise BenchmarkError(f'--rate {self.rate_hz:g}: expected a number above 0')
        if self.frames < _FEWEST_FRAMES:
            raise BenchmarkError(f'--frames {self.frames}: expected {_FEWEST_FRAMES} or more; 100 '
                                 'or more for a p99 that deserves its name')
