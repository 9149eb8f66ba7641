# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The condition of the node: a window of the last seconds, and the diagnostic level.

Nothing here knows ROS: times are plain numbers, levels are those of diagnostic_msgs.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import math
import threading
from typing import Iterator, Sequence

import numpy as np

from lvs_ros.pipeline.encodings import REPUBLISH

# What image_transport calls those who write and read these.
_VIDEO_TRANSPORTS = {'foxglove_msgs/msg/CompressedVideo': 'foxglove',
                     'ffmpeg_image_transport_msgs/msg/FFMPEGPacket': 'ffmpeg'}

_DROP_WARN_FRACTION = 0.1
_SILENCE_LIMIT_S = 2.0    # after which the stream counts as gone
# A call that takes several times as long as usual, and longer than that, counts as hanging.
_USUAL_TIMES, _LEAST_STILL_S, _STILL_OF_UNKNOWN_S = 3.0, 2.0, 5.0


class Level(enum.IntEnum):
    """The levels of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


Finding = tuple[Level, str]
"""A level and its reason."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrameRecord:
    """The result of one received frame.

    :param time_s: when it was done with, on a clock that never jumps.
    :param processing_ms: from the start of the callback to the published mask.
    :param latency_ms: from the stamp to the published mask; None where that cannot be told.
    :param lost: frames lost just before this one.
    :param published: a mask was published.
    :param malformed: the image could not be read.
    :param failed: an unexpected error.
    :param paused: the image was left out, since nobody subscribed to an output.
    :param key_frame: the frame became the key frame.
    :param stale: it was older than allowed.
    """

    time_s: float
    processing_ms: float = 0.0
    latency_ms: float | None = None
    lost: int = 0
    published: bool = False
    malformed: bool = False
    failed: bool = False
    paused: bool = False
    key_frame: bool = False
    stale: bool = False


def percentiles(samples: Sequence[float]) -> dict[str, float]:
    """Return p50, p95, p99 and max by nearest rank, in the samples' unit; NaN without samples."""
    values = np.percentile(samples or [math.nan], (50, 95, 99, 100), method='inverted_cdf')
    return dict(zip(('p50', 'p95', 'p99', 'max'), values.tolist()))


@dataclasses.dataclass(kw_only=True)
class Totals:
    """Counts of frames."""

    received: int = 0
    published: int = 0
    lost: int = 0
    malformed: int = 0
    failed: int = 0
    paused: int = 0
    stale: int = 0
    key_frames: int = 0

    def add(self, record: FrameRecord) -> None:
        """Count a received frame, and those lost before it."""
        self.received += 1
        self.published += record.published
        self.lost += record.lost
        self.malformed += record.malformed
        self.failed += record.failed
        self.paused += record.paused
        self.stale += record.stale
        self.key_frames += record.key_frame

    @property
    def dropped(self) -> int:
        """Frames that were sent and got no mask."""
        return self.lost + self.malformed + self.failed

    @property
    def dropped_fraction(self) -> float:
        """Part of the frames sent that got no mask, 0..1."""
        sent = self.received + self.lost - self.paused
        return (sent - self.published) / sent if sent else 0.0


@dataclasses.dataclass(kw_only=True)
class Summary(Totals):
    """The counts of the window, and its rates and percentiles."""

    rate_in_hz: float
    rate_out_hz: float
    latency_ms: dict[str, float]
    processing_ms: dict[str, float]


class FrameWindow:
    """The frames of the last seconds, and the totals since the window was made.

    One thread adds, another may sum up.

    :param length_s: how far back the window reaches.
    """

    def __init__(self, *, length_s: float = 10.0) -> None:
        self.length_s = length_s
        self.totals = Totals()
        self._records: collections.deque[FrameRecord] = collections.deque()
        self._start_s: float | None = None
        self._lock = threading.Lock()

    @property
    def last_time_s(self) -> float | None:
        """When the last frame came; None before the first."""
        with self._lock:
            return self._records[-1].time_s if self._records else None

    def add(self, record: FrameRecord) -> None:
        """Add a received frame."""
        self.totals.add(record)
        if self._start_s is None:
            self._start_s = record.time_s
        with self._lock:
            self._records.append(record)
            # The newest record always stays: it tells when the last frame came.
            while self._records[0].time_s < record.time_s - self.length_s:
                self._records.popleft()

    def summary(self, now_s: float) -> Summary:
        """Sum up the window that ends now.

        :param now_s: on the clock of the records.
        """
        with self._lock:
            records = list(self._records)
        records = [record for record in records if record.time_s >= now_s - self.length_s]
        published = [record for record in records if record.published]
        span_s = self._span_s(now_s)
        summary = Summary(
            rate_in_hz=len(records) / span_s,
            rate_out_hz=len(published) / span_s,
            latency_ms=percentiles([record.latency_ms for record in published
                                    if record.latency_ms is not None]),
            processing_ms=percentiles([record.processing_ms for record in published]))
        for record in records:
            summary.add(record)
        return summary

    def _span_s(self, now_s: float) -> float:
        # After the first frame the window grows to its length; less than a second tells no rate.
        age_s = now_s - self._start_s if self._start_s is not None else self.length_s
        return min(self.length_s, max(age_s, 1.0))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Condition:
    """What the judgement needs besides the window.

    :param active: the node is in the lifecycle state active.
    :param transition_error: why it could not get there when it was last told to.
    :param shut_down: it is in the lifecycle state finalized, for good.
    :param topic: the image topic.
    :param publishers: how many publishers of images it has.
    :param foreign_types: of messages that are published on it and are not subscribed to.
    :param silent_s: seconds since the last image; None: none came since activation.
    :param slow_track_failures: failures of the accurate network so far.
    :param slow_track_error: text of the last failure; None since it works (again).
    :param slow_track_ms: how long the accurate network last took; None where that is not known.
    :param slow_track_still_s: seconds since it last made a step in the background.
    :param frame_s: seconds that a frame has been in work; 0 where none is.
    :param watchdog_s: after which the process ends; 0 = never.
    :param clock_problem: why latencies cannot be told; None where they can.
    :param fallbacks: what is computed in a slower way than it should be, and why.
    :param paused: images are left out, since nobody subscribes to what they would become.
    :param camera_info_problem: what is wrong with the calibration beside the masks.
    :param last_malformed: why the last malformed image could not be read.
    :param last_failure: text of the last unexpected error that cost a frame.
    """

    active: bool
    transition_error: str | None = None
    shut_down: bool = False
    topic: str = ''
    publishers: int = 0
    foreign_types: Sequence[str] = ()
    silent_s: float | None = None
    slow_track_failures: int = 0
    slow_track_error: str | None = None
    slow_track_ms: float | None = None
    slow_track_still_s: float = 0.0
    frame_s: float = 0.0
    watchdog_s: float = 0.0
    clock_problem: str | None = None
    fallbacks: Sequence[str] = ()
    paused: bool = False
    camera_info_problem: str | None = None
    last_malformed: str | None = None
    last_failure: str | None = None


def judge(summary: Summary, condition: Condition) -> tuple[Level, str]:
    """Return the diagnostic level and a message that gives every reason, the worst first."""
    if not condition.active:
        if condition.transition_error is not None:
            return Level.ERROR, condition.transition_error
        if condition.shut_down:
            return Level.STALE, ('shut down for good: there are no more masks until the node is '
                                 'started again')
        return Level.OK, 'inactive'
    findings = [*_errors(summary, condition), *_silence(condition),
                *_warnings(summary, condition)]
    if not findings:
        return Level.OK, ('paused: nobody subscribes to an output' if condition.paused
                          else 'publishing masks')
    # ERROR before STALE before WARN: a broken node explains its silence.
    severity = (Level.ERROR, Level.STALE, Level.WARN)
    findings.sort(key=lambda finding: severity.index(finding[0]))
    return findings[0][0], '; '.join(text for _, text in findings)


def hang(summary: Summary, condition: Condition) -> str | None:
    """Describe the calls that do not return; None = there is none."""
    slow_s = None if condition.slow_track_ms is None else condition.slow_track_ms / 1e3
    texts = []
    if condition.frame_s > _still_limit_s(slow_s, summary.processing_ms['max'] / 1e3):
        end = (f'; after {condition.watchdog_s:g} s (watchdog_s) the process ends'
               if condition.watchdog_s else '')
        texts.append(f'a frame has been in work for {condition.frame_s:.1f} s and there are no '
                     f'masks meanwhile{end}')
    if condition.slow_track_still_s > _still_limit_s(slow_s):
        texts.append('the accurate network (S_h) has not come back for '
                     f'{condition.slow_track_still_s:.1f} s: masks are propagated from features '
                     'that grow old')
    return '; '.join(texts) or None


def _still_limit_s(*usual_s: float | None) -> float:
    known = [value for value in usual_s if value is not None and not math.isnan(value)]
    return max(_LEAST_STILL_S, _USUAL_TIMES * max(known)) if known else _STILL_OF_UNKNOWN_S


def _errors(summary: Summary, condition: Condition) -> Iterator[Finding]:
    text = hang(summary, condition)
    if text is not None:
        yield Level.ERROR, text
    if condition.slow_track_error is not None:
        yield Level.ERROR, ('the accurate network (S_h) has failed '
                            f'{condition.slow_track_failures} times: '
                            f'{condition.slow_track_error}; it is tried again, once a second at '
                            'least')
    if summary.failed:
        yield Level.ERROR, (f'{summary.failed} frames dropped on an unexpected error: '
                            f'{condition.last_failure}')
    if summary.malformed:
        yield (Level.WARN if summary.published else Level.ERROR,
               f'{summary.malformed} malformed images dropped: {condition.last_malformed}')


def _silence(condition: Condition) -> Iterator[Finding]:
    if condition.silent_s is not None and condition.silent_s <= _SILENCE_LIMIT_S:
        return
    since = ('since activation' if condition.silent_s is None
             else f'for {condition.silent_s:.1f} s')
    if condition.foreign_types:
        hint = '; '.join(map(_foreign, condition.foreign_types))
    elif condition.publishers:
        hint = (f'it has {condition.publishers} publisher(s): compare their QoS (ros2 topic info '
                f'-v {condition.topic})')
    else:
        hint = 'it has no publisher'
    yield Level.STALE, f'no image on {condition.topic} {since}; {hint}'


def _foreign(message_type: str) -> str:
    """Say what to do about messages of another type on the topic of the images."""
    transport = _VIDEO_TRANSPORTS.get(message_type)
    if transport is not None:
        return (f'it has {message_type}, which is coded video; decode it on the way to here: '
                + REPUBLISH.format(transport=transport))
    text = f'it has {message_type}, which is not what the node subscribes to'
    if message_type.startswith('sensor_msgs/'):
        text += ': set the parameter input_transport to the kind that the camera publishes'
    return text


def _warnings(summary: Summary, condition: Condition) -> Iterator[Finding]:
    if condition.publishers > 1:
        yield Level.WARN, (f'{condition.topic} has {condition.publishers} publishers: the frames '
                           'of two cameras must not be mixed')
    if condition.clock_problem is not None:
        yield Level.WARN, condition.clock_problem
    if condition.fallbacks:
        yield Level.WARN, 'slower than it should be: ' + '; '.join(condition.fallbacks)
    if condition.camera_info_problem is not None:
        yield Level.WARN, condition.camera_info_problem
    if summary.stale:
        yield Level.WARN, f'{summary.stale} of {summary.published} masks were stale'
    if summary.dropped_fraction > _DROP_WARN_FRACTION and summary.lost:
        yield Level.WARN, (f'{summary.dropped_fraction:.0%} of the frames sent got no mask: the '
                           'node is slower than the camera, or images get lost on the way')
