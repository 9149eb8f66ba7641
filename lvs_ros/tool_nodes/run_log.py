# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The images, masks and statuses of a run, paired by their stamps."""

from __future__ import annotations

import dataclasses

import numpy as np

from lvs_ros.packed_mask import pack, unpack


@dataclasses.dataclass(frozen=True)
class StatusSample:
    """The status of one frame; None where nothing was computed.

    :param stamp_ns: of the image, nanoseconds
    :param deviation: predicted deviation from the key frame, 0..1
    :param threshold: in force on this frame, 0..1
    :param slow_track_ms: duration of the last finished job of the slow track, milliseconds
    """

    stamp_ns: int
    schedule: str
    key_frame: bool
    key_age_frames: int
    deviation: float | None
    threshold: float
    slow_track_ms: float | None
    slow_track_failures: int


class RunLog:
    """Collects what arrives; every time is in nanoseconds of the system's clock."""

    def __init__(self) -> None:
        self.images: dict[int, int] = {}
        """Stamp of each image to the time of its arrival."""
        self.arrivals: dict[int, int] = {}
        """Stamp of each mask to the time of its arrival."""
        self.statuses: dict[int, StatusSample] = {}
        self._masks: dict[int, bytes] = {}

    def add_image(self, stamp_ns: int, received_ns: int) -> None:
        """Note an image of the camera."""
        self.images[stamp_ns] = received_ns

    def add_mask(self, stamp_ns: int, received_ns: int, mask: np.ndarray) -> None:
        """Note a mask of the node.

        :param mask: (H, W) uint8
        """
        self.arrivals[stamp_ns] = received_ns
        self._masks[stamp_ns] = pack(mask)

    def add_status(self, sample: StatusSample) -> None:
        """Note a status of the node."""
        self.statuses[sample.stamp_ns] = sample

    def mask(self, stamp_ns: int) -> np.ndarray:
        """Return a mask, (H, W) uint8.

        :raises KeyError: when none has that stamp.
        """
        return unpack(self._masks[stamp_ns])

    def latency_ms(self, stamp_ns: int) -> float:
        """Return the time from the stamp of an image to the arrival of its mask, milliseconds."""
        return (self.arrivals[stamp_ns] - stamp_ns) / 1e6
