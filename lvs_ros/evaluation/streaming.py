# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Streaming accuracy: at every instant, the newest output against the world as it is then.

Li, Wang, Ramanan, "Towards Streaming Perception", ECCV 2020. The instants are those at which
frames arrive, the first one apart, before which there is no output. The newest frame wins, as in
the node: one that arrives while another is computed waits, and is overtaken by the next.
"""

import dataclasses
from typing import Optional, Sequence

import numpy as np

from lvs_ros.errors import ConfigurationError
from lvs_ros.evaluation.metrics import confusion_of, miou
from lvs_ros.labels import UNLABELLED
from lvs_ros.pipeline.frame import Frame, StepResult, StepStatus
from lvs_ros.pipeline.pipeline import SegmentationPipeline

FULL_PER_SLOW = 1.2
"""What the full network takes, in times of S_h: 360 and 299 ms in the paper."""

FAST_SHARE = 0.25
"""What a propagated frame takes, and one of the small network, of what the full network takes: 20
of 81 ms with lite_camvid on two cores (docs/performance.md); 119 of 360 ms in the paper."""


@dataclasses.dataclass(frozen=True)
class StatedDurations:
    """How long a frame takes where time is simulated, in seconds.

    :param full_s: of the full network, without flip averaging
    :param slow_s: of S_h
    :param flip_averaging: a frame computed in full waits for S_h once more
    :raises ConfigurationError: when the full network would take less time than its part
    """

    full_s: float
    slow_s: float
    flip_averaging: bool

    def __post_init__(self) -> None:
        if not self.slow_s <= self.full_s < float('inf'):
            raise ConfigurationError(
                f'the simulated duration of the full network is {self.full_s:g} s: expected at '
                f'least {self.slow_s:g} s, that of S_h, which is a part of it (--full-s)')

    def of(self, status: StepStatus, *, small_share: Optional[float]) -> float:
        """Return the duration of a frame.

        :param small_share: of a small network, in times of the fast track; None = it is none
        """
        if small_share is not None:
            return self.full_s * FAST_SHARE * small_share
        if not status.key_frame or status.schedule == 'low_latency':
            return self.full_s * FAST_SHARE
        return self.full_s + self.slow_s * self.flip_averaging


class StatedClock:
    """Goes on only where it is told to."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def now(self) -> float:
        """Return the time."""
        return self._now_s

    def sleep_until(self, time_s: float) -> None:
        """Go on to this time."""
        self._now_s = max(self._now_s, time_s)

    def leave_out(self, duration_s: float) -> None:
        """Do nothing: what is computed takes no time here."""

    def go_on(self, duration_s: float) -> None:
        """Go on by a duration."""
        self._now_s += duration_s


class StatedPipeline:
    """A pipeline each of whose steps takes a stated time of a clock."""

    def __init__(self, pipeline: SegmentationPipeline, durations: StatedDurations,
                 clock: StatedClock, *, small_share: Optional[float]) -> None:
        self._pipeline, self._durations, self._clock = pipeline, durations, clock
        self._small_share = small_share

    def step(self, frame: Frame) -> StepResult:
        """Label one frame."""
        result = self._pipeline.step(frame)
        self._clock.go_on(self._durations.of(result.status, small_share=self._small_share))
        return result


def newest_outputs(stamps_s: Sequence[float], published: Sequence[tuple[int, float]]
                   ) -> list[Optional[int]]:
    """Return for each frame the number of the one whose output is the newest when it arrives.

    :param stamps_s: when each frame arrives
    :param published: number of a frame, and when its output was there, in this order. That of the
        first frame counts as there at once: every row starts from it
    :return: None for the first frame
    """
    found: list[Optional[int]] = [None]
    newest, following = published[0][0], 1
    for stamp_s in stamps_s[1:]:
        while following < len(published) and published[following][1] <= stamp_s:
            newest = published[following][0]
            following += 1
        found.append(newest)
    return found


def labels_one_frame_old(labels: Sequence[Optional[np.ndarray]], classes: int) -> np.ndarray:
    """Score the labels of each frame as the mask of the next one, where both are labelled.

    :param labels: (H, W) uint8 of consecutive frames, or None
    :return: (classes, classes), the sum over the frames
    """
    counts = np.zeros((classes, classes), np.int64)
    for before, now in zip(labels, labels[1:]):
        if before is not None and now is not None:
            known = before < classes
            counts += confusion_of(np.where(known, now, UNLABELLED),
                                   np.where(known, before, 0), classes)
    return counts


def miou_or_none(confusions: Sequence[np.ndarray]) -> Optional[float]:
    """Return the mIoU of some frames; None where there are none."""
    return float(miou(np.sum(confusions, axis=0))) if len(confusions) else None
