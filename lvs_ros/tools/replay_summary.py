# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The summary of a replay: counts, deviations, times, and what was dropped and why."""

import dataclasses
import json
import pathlib
from typing import Any, Optional

import numpy as np

from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.frame import StepStatus
from lvs_ros.plots import DeviationSample
from lvs_ros.recordings.message_types import NS_PER_S
from lvs_ros.recordings.video import LONGEST_S
from lvs_ros.staging import write_whole


@dataclasses.dataclass(frozen=True)
class IndexedReason:
    """An event at an image.

    :param index: number of the image in the recording, from 0
    :param reason: what it was
    """

    index: int
    reason: str


class ReplaySummary:
    """Collects the status of the frames of a replay.

    :param recording: name of the recording
    :param topic: its image topic
    :param options: of the pipeline
    :param slow_delay_s: simulated duration of S_h, in seconds of the stamps
    """

    def __init__(self, *, recording: str, topic: str, options: PipelineOptions,
                 slow_delay_s: float) -> None:
        self.recording = recording
        self.topic = topic
        self.options = options
        self.slow_delay_s = slow_delay_s
        self.device = options.device
        self.shortened = 0
        """Gaps between two images that the video does not show in full."""
        self.samples: list[DeviationSample] = []
        self.dropped: list[IndexedReason] = []
        self._resets: list[IndexedReason] = []
        self._stage_ms: dict[str, list[float]] = {}
        self._slow_failures = 0
        self._first_stamp_ns: Optional[int] = None

    @property
    def frames(self) -> int:
        """Images taken from the recording so far."""
        return len(self.samples) + len(self.dropped)

    @property
    def key_frames(self) -> int:
        """Frames that became key frames."""
        return sum(sample.key_frame for sample in self.samples)

    @property
    def title(self) -> str:
        """What was run, in a line."""
        model = pathlib.Path(self.options.model).stem
        return f'{self.recording}, {model}, schedule {self.options.schedule}'

    @property
    def text(self) -> str:
        """How it went, in a line."""
        text = f'{len(self.samples)} masks, {self.key_frames} key frames'
        if self.dropped:
            first = self.dropped[0]
            text += (f'; {len(self.dropped)} malformed images were dropped, the first is number '
                     f'{first.index}: {first.reason}')
        if self.shortened:
            text += (f'; where an image came more than {LONGEST_S} s after the one before '
                     f'({self.shortened} times), it follows after {LONGEST_S} s in the video')
        return text

    def add(self, index: int, stamp_ns: int, status: StepStatus) -> None:
        """Add a frame that got its mask."""
        if self._first_stamp_ns is None:
            self._first_stamp_ns = stamp_ns
        self.samples.append(DeviationSample(
            time_s=(stamp_ns - self._first_stamp_ns) / NS_PER_S, deviation=status.deviation,
            threshold=status.threshold, key_frame=status.key_frame))
        for stage, duration_ms in status.stage_ms.items():
            self._stage_ms.setdefault(stage, []).append(duration_ms)
        if status.reset_reason is not None:
            self._resets.append(IndexedReason(index, status.reset_reason))
        self._slow_failures = status.slow_track_failures

    def drop(self, index: int, reason: str) -> None:
        """Add an image that got none."""
        self.dropped.append(IndexedReason(index, reason))

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON knows it."""
        deviations = [sample.deviation for sample in self.samples if sample.deviation is not None]
        return {
            'recording': self.recording,
            'topic': self.topic,
            **dataclasses.asdict(self.options),
            'device': self.device,
            'slow_delay_s': self.slow_delay_s,
            'images': self.frames,
            'masks': len(self.samples),
            'key_frames': self.key_frames,
            'dropped': [dataclasses.asdict(entry) for entry in self.dropped],
            'gaps_shortened_in_video': self.shortened,
            'resets': [dataclasses.asdict(entry) for entry in self._resets],
            'slow_track_failures': self._slow_failures,
            'deviation': {'mean': float(np.mean(deviations)),
                          'max': max(deviations)} if deviations else None,
            'stage_ms': {stage: _percentiles(values)
                         for stage, values in self._stage_ms.items()},
        }

    def write(self, path: pathlib.Path) -> None:
        """Write it to a JSON file."""
        write_whole(path, (json.dumps(self.as_dict(), indent=2) + '\n').encode())


def _percentiles(values: list[float]) -> dict[str, float]:
    return {'p50': round(float(np.percentile(values, 50)), 3),
            'p99': round(float(np.percentile(values, 99)), 3)}
