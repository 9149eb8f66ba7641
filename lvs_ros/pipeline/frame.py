# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What goes into a pipeline step, and what comes out of it."""

import dataclasses
from typing import Mapping, Optional

import numpy as np

from lvs_ros.errors import ImageError

CHANNELS = {'rgb': 3, 'bgr': 3, 'rgba': 4, 'bgra': 4, 'mono': 1}
"""Channel orders that a frame may have, with their number of channels."""


@dataclasses.dataclass(frozen=True)
class Frame:
    """One image of the stream.

    :param image: (H, W, C) uint8, any strides (a view on a message with padded rows is fine);
        (H, W) too if mono
    :param stamp_ns: time of exposure, nanoseconds; the key frame's age is told by it
    :param order: one of :data:`CHANNELS`
    """

    image: np.ndarray
    stamp_ns: int
    order: str = 'rgb'

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.image.shape[1], self.image.shape[0]

    def check(self) -> None:
        """Raise :class:`~lvs_ros.errors.ImageError` unless the fields fit together."""
        image = self.image
        if self.order not in CHANNELS:
            raise ImageError(f'channel order {self.order!r}: expected one of '
                             + ', '.join(CHANNELS))
        if image.dtype != np.uint8:
            raise ImageError(f'image of dtype {image.dtype}: expected uint8')
        channels = 1 if image.ndim == 2 else image.shape[-1]
        if image.ndim not in (2, 3) or channels != CHANNELS[self.order]:
            raise ImageError(f'image of shape {image.shape}: expected (height, width, '
                             f'{CHANNELS[self.order]}) for channel order {self.order!r}')
        if 0 in image.shape:
            raise ImageError(f'image of shape {image.shape}: expected at least one pixel')


@dataclasses.dataclass(frozen=True)
class StepStatus:
    """How the mask of a frame came about.

    :param schedule: name of the schedule in force
    :param key_frame: this frame became the key frame
    :param key_stamp_ns: stamp of the key frame in the cache after this step
    :param key_age_frames: frames since that key frame; 0 on the key frame itself
    :param key_provisional: the key frame's features are propagated ones; S_h has not finished
    :param deviation: predicted fraction of pixels whose label differs from the key frame's;
        None where the schedule asked for none
    :param threshold: the deviation above which a frame becomes a key frame
    :param slow_track_busy: S_h, or flip averaging after it, is running or waiting to
        run in the background
    :param slow_track_failures: failures of S_h since the pipeline was built
    :param slow_track_error: text of the last failure; None once S_h has succeeded again
    :param slow_track_ms: duration of the last finished S_h, without its refinement; None before
        the first
    :param stage_ms: duration of each stage: 'wait' (for the cores), 'input', 'low', 'slow_track'
        (taking its results, or computing them where it is inline), 'deviation', 'propagation',
        'classify', 'output', 'rest' (what lies between and behind them); all together the step.
        NaN where a stage cannot be told from the one before it
    :param reset_reason: why the key frame was forgotten before this frame; None if it was not
    """

    schedule: str
    key_frame: bool
    key_stamp_ns: int
    key_age_frames: int
    key_provisional: bool
    deviation: Optional[float]
    threshold: float
    slow_track_busy: bool
    slow_track_failures: int
    slow_track_error: Optional[str]
    slow_track_ms: Optional[float]
    stage_ms: Mapping[str, float]
    reset_reason: Optional[str]


@dataclasses.dataclass(frozen=True)
class RefinedMask:
    """A better mask of a frame that has one already: by its own S_h, not by propagation.

    :param stamp_ns: of the frame
    :param mask: (H, W) uint8 class ids
    """

    stamp_ns: int
    mask: np.ndarray


@dataclasses.dataclass(frozen=True)
class StepResult:
    """The labels of one frame.

    :param mask: (H, W) uint8 class ids
    :param confidence: (H, W) uint8, 0..255 = softmax maximum; None unless asked for
    :param status: how it came about
    """

    mask: np.ndarray
    confidence: Optional[np.ndarray]
    status: StepStatus
