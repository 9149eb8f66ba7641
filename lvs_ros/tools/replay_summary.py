# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The summary of a replay: counts, deviations, times, and what was dropped and why."""

import dataclasses
import json
import pathlib
from typing import Any, Optional, Sequence

import numpy as np

from lvs_ros.model.checkpoint import model_title
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.frame import StepStatus
from lvs_ros.plots import DeviationSample
from lvs_ros.recordings.message_types import NS_PER_S
from lvs_ros.recordings.video import LONGEST_S
from lvs_ros.staging import write_whole


@dataclasses.dataclass
class ReplaySummary:
    """Collects the status of the frames of a replay.

    :param recording: name of the recording
    :param topic: its image topic
    :param options: of the pipeline
    :param slow_delay_s: simulated duration of S_h, in seconds of the stamps
    :param device: where it ran
    :param shortened: gaps between two images that the video does not show in full
    :param samples: of the frames that got their mask
    :param dropped: number of each image that got none, from 0, and the reason
    """

    recording: str
    topic: str
    options: PipelineOptions
    slow_delay_s: float
    device: str = ''
    shortened: int = 0
    samples: list[DeviationSample] = dataclasses.field(default_factory=list)
    dropped: list[tuple[int, str]] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self._resets: list[tuple[int, str]] = []
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
    def model(self) -> str:
        """What to call the model."""
        return model_title(self.options.model)

    def named(self, file: str) -> str:
        """Return the name of a file that people look at: after the model."""
        return f'{self.model}_{file}'

    @property
    def title(self) -> str:
        """What was run, in a line."""
        return f'{self.recording}, {self.model}, schedule {self.options.schedule}'

    @property
    def text(self) -> str:
        """How it went, in a line."""
        text = f'{len(self.samples)} masks, {self.key_frames} key frames'
        if self.dropped:
            index, reason = self.dropped[0]
            text += (f'; {len(self.dropped)} malformed images were dropped, the first is number '
                     f'{index}: {reason}')
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
            self._resets.append((index, status.reset_reason))
        self._slow_failures = status.slow_track_failures

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
            'dropped': _as_objects(self.dropped),
            'gaps_shortened_in_video': self.shortened,
            'resets': _as_objects(self._resets),
            'slow_track_failures': self._slow_failures,
            'deviation': {'mean': float(np.mean(deviations)),
                          'max': max(deviations)} if deviations else None,
            'stage_ms': {stage: _percentiles(values)
                         for stage, values in self._stage_ms.items()},
        }

    def write(self, path: pathlib.Path) -> None:
        """Write it to a JSON file."""
        write_whole(path, (json.dumps(self.as_dict(), indent=2) + '\n').encode())


def _as_objects(events: Sequence[tuple[int, str]]) -> list[dict[str, Any]]:
    return [{'index': index, 'reason': reason} for index, reason in events]


def _percentiles(values: list[float]) -> dict[str, float]:
    return {'p50': round(float(np.percentile(values, 50)), 3),
            'p99': round(float(np.percentile(values, 99)), 3)}
