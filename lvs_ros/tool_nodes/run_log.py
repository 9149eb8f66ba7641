# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The images, masks and statuses of a run, paired by their stamps."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lvs_ros.msg import FrameStatus


@dataclasses.dataclass
class RunLog:
    """What has arrived, by the stamp of its image; every time is in nanoseconds.

    :param images: when each image arrived, by the system's clock
    :param arrivals: when each mask arrived
    :param masks: the masks, as :func:`lvs_ros.packed_mask.pack` made them
    :param statuses: the node's statuses
    """

    images: dict[int, int] = dataclasses.field(default_factory=dict)
    arrivals: dict[int, int] = dataclasses.field(default_factory=dict)
    masks: dict[int, bytes] = dataclasses.field(default_factory=dict)
    statuses: dict[int, FrameStatus] = dataclasses.field(default_factory=dict)

    def latency_ms(self, stamp_ns: int) -> float:
        """Return the time from the stamp of an image to the arrival of its mask, milliseconds."""
        return (self.arrivals[stamp_ns] - stamp_ns) / 1e6
