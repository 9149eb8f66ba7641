# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Playing a recording at its own timing; no rclpy, and no clock but the one that is given."""

import dataclasses
import time
from typing import Callable, Iterable, Iterator, Optional, Protocol

from lvs_ros.errors import ImageError
from lvs_ros.recordings.message_types import NS_PER_S
from lvs_ros.recordings.recorded_message import RecordedMessage

LATE_S = 0.010
"""A message that is sent later than this after its time counts as late."""

# Between two rounds of a recording of a single message there is no distance to go by.
_LONE_PERIOD_NS = NS_PER_S // 10


@dataclasses.dataclass(frozen=True)
class TimedMessage:
    """A message and when to send it.

    :param due_s: seconds from the start of the playback
    :param log_time_ns: when it was recorded
    :param cdr: the serialised message
    """

    due_s: float
    log_time_ns: int
    cdr: bytes


@dataclasses.dataclass
class PlaybackReport:
    """The result of a playback.

    :param frames: messages sent
    :param late: of these, sent more than :data:`LATE_S` after their time
    :param worst_late_s: the latest
    :param first_s: when the first one was sent, seconds from the start
    :param last_s: when the last one was sent
    """

    frames: int = 0
    late: int = 0
    worst_late_s: float = 0.0
    first_s: float = 0.0
    last_s: float = 0.0

    @property
    def rate_hz(self) -> float:
        """Rate at which messages were sent; 0 for fewer than two."""
        span_s = self.last_s - self.first_s
        return (self.frames - 1) / span_s if self.frames > 1 and span_s > 0 else 0.0


class Clock(Protocol):
    """What the playback needs of a clock; the module ``time`` is one."""

    def monotonic(self) -> float:
        """Return seconds from any origin."""

    def sleep(self, seconds: float, /) -> None:
        """Wait."""


def timed_messages(open_messages: Callable[[], Iterator[RecordedMessage]],
                   serialize: Callable[[RecordedMessage], bytes], *, rate: float = 1.0,
                   loop: bool = False,
                   on_malformed: Callable[[int, ImageError], None]) -> Iterator[TimedMessage]:
    """Yield the messages of a recording with the times at which to send them.

    Times go by the log times, as those of ``ros2 bag play`` do: they never go back, and they are
    there where a driver leaves its stamps unset. When looped, the recording begins again one mean
    period after its last message.

    :param open_messages: called once a round; yields the recording's messages
    :param serialize: makes bytes of a message; its ImageError leaves the message out
    :param rate: 2.0 plays twice as fast
    :param loop: begin again at the end, without limit
    :param on_malformed: told the index (from 0, in this round) and reason of those left out
    """
    round_start_ns = 0
    while True:
        first_ns: Optional[int] = None
        last_ns, count = 0, 0
        for index, message in enumerate(open_messages()):
            if first_ns is None:
                first_ns = message.log_time_ns
            last_ns, count = message.log_time_ns, count + 1
            try:
                cdr = serialize(message)
            except ImageError as error:
                on_malformed(index, error)
                continue
            due_ns = round_start_ns + message.log_time_ns - first_ns
            yield TimedMessage(due_ns / NS_PER_S / rate, message.log_time_ns, cdr)
        if not loop or first_ns is None:
            return
        span_ns = last_ns - first_ns
        round_start_ns += span_ns + (span_ns // (count - 1) if count > 1 else _LONE_PERIOD_NS)


def play(messages: Iterable[TimedMessage], send: Callable[[TimedMessage], None],
         report: PlaybackReport, *, rate: float = 1.0,
         publish_clock: Optional[Callable[[int], None]] = None, clock_period_s: float = 0.025,
         clock: Clock = time) -> None:
    """Send each message at its time, which is reckoned from the start, so that nothing drifts.

    :param messages: in the order of their times
    :param send: sends one
    :param report: brought up to date after each message, so that it tells of an interrupted
        playback too
    :param rate: that with which the times were made
    :param publish_clock: given the time in the recording, nanoseconds, every ``clock_period_s``
        and before each message
    :param clock_period_s: seconds (of the clock, not of the recording)
    :param clock: tells the time, and waits
    """
    start: Optional[float] = None
    for message in messages:
        if start is None:
            # Reading the first message takes long; counted from here, the others are not late.
            start = clock.monotonic() - message.due_s
        while (ahead_s := start + message.due_s - clock.monotonic()) > 0:
            if publish_clock is None:
                clock.sleep(ahead_s)
            else:
                publish_clock(message.log_time_ns - round(ahead_s * rate * NS_PER_S))
                clock.sleep(min(ahead_s, clock_period_s))
        if publish_clock is not None:
            publish_clock(message.log_time_ns)
        sent_s = clock.monotonic() - start
        send(message)
        late_s = sent_s - message.due_s
        if not report.frames:
            report.first_s = sent_s
        report.frames += 1
        report.last_s = sent_s
        report.late += late_s > LATE_S
        report.worst_late_s = max(report.worst_late_s, late_s)
