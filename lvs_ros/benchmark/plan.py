# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is to be measured."""

import dataclasses
import math

from lvs_ros.benchmark.errors import BenchmarkError
from lvs_ros.pipeline import PipelineOptions

FEWEST_FRAMES = 3


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be measured.

    :param options: of the low-latency pipeline
    :param model: what to call the model
    :param random_weights: nobody has trained it
    :param rate_hz: of the camera
    :param frames: to be measured a track
    :param limit_s: measure fewer where they would take longer than this a track
    """

    options: PipelineOptions
    model: str
    random_weights: bool
    rate_hz: float
    frames: int
    limit_s: float

    def check(self) -> None:
        """Raise :class:`~lvs_ros.errors.LvsError` for what cannot be measured."""
        for name, value in (('rate', self.rate_hz), ('limit-s', self.limit_s)):
            if not 0 < value < math.inf:
                raise BenchmarkError(f'--{name} {value:g}: expected a number above 0')
        if self.frames < FEWEST_FRAMES:
            raise BenchmarkError(f'--frames {self.frames}: expected {FEWEST_FRAMES} or more; 100 '
                                 'or more for a p99 that deserves its name')
