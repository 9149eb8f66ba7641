# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The timing of a playback, by a clock that the test moves."""

import itertools
import threading
from typing import Iterator

import pytest

from lvs_ros.errors import ImageError
from lvs_ros.recordings.message_types import IMAGE
from lvs_ros.recordings.playback import PlaybackReport, TimedMessage, play, timed_messages
from lvs_ros.recordings.read_ahead import read_ahead
from lvs_ros.recordings.recorded_message import RecordedMessage

MS = 1_000_000


class FakeClock:
    """Time passes only while something sleeps, or is told to."""

    def __init__(self) -> None:
        self.time_s = 1000.0

    def monotonic(self) -> float:
        return self.time_s

    def sleep(self, seconds: float, /) -> None:
        assert seconds > 0
        self.time_s += seconds


def recorded(*log_times_ms: int) -> list[RecordedMessage]:
    return [RecordedMessage('/image', IMAGE, 5_000_000 * MS + log_time_ms * MS, b'%d' % number)
            for number, log_time_ms in enumerate(log_times_ms)]


def timed(messages: list[RecordedMessage], **options: float) -> Iterator[TimedMessage]:
    return timed_messages(lambda: iter(messages), lambda message: message.data,
                          on_malformed=lambda *_: None, **options)  # type: ignore[arg-type]


def test_messages_are_due_at_their_distance_from_the_first() -> None:
    due = [message.due_s for message in timed(recorded(0, 60, 140, 200))]

    assert due == pytest.approx([0, 0.06, 0.14, 0.2])


def test_a_rate_of_two_halves_the_times() -> None:
    due = [message.due_s for message in timed(recorded(0, 60, 140, 200), rate=2.0)]

    assert due == pytest.approx([0, 0.03, 0.07, 0.1])


def test_a_loop_begins_again_one_mean_period_after_the_end() -> None:
    due = [message.due_s for message in itertools.islice(
        timed(recorded(0, 60, 200), rate=0.5, loop=True), 7)]

    assert due == pytest.approx([0, 0.12, 0.4, 0.6, 0.72, 1.0, 1.2])


def test_malformed_messages_are_left_out_and_told() -> None:
    def refuse_second(message: RecordedMessage) -> bytes:
        if message.data == b'1':
            raise ImageError('no image')
        return message.data

    told: list[tuple[int, str]] = []
    messages = list(timed_messages(
        lambda: iter(recorded(0, 60, 140)), refuse_second,
        on_malformed=lambda index, error: told.append((index, str(error)))))

    assert [message.cdr for message in messages] == [b'0', b'2']
    assert messages[1].due_s == pytest.approx(0.14)
    assert told == [(1, 'no image')]


def test_messages_are_sent_at_their_times_without_drift() -> None:
    clock, sent, report = FakeClock(), [], PlaybackReport()

    def send(message: TimedMessage) -> None:
        sent.append(clock.time_s)
        clock.time_s += 0.004  # sending takes a while, which must not add up

    play(timed(recorded(*range(0, 1000, 50))), send, report, clock=clock)

    assert sent == pytest.approx([1000 + i * 0.05 for i in range(20)])
    assert (report.frames, report.late) == (20, 0)
    assert report.rate_hz == pytest.approx(20)


def test_lateness_is_counted_and_caught_up_with() -> None:
    clock, sent, report = FakeClock(), [], PlaybackReport()

    def send(message: TimedMessage) -> None:
        sent.append(clock.time_s - 1000)
        clock.time_s += 0.13 if len(sent) == 2 else 0  # the second one blocks

    play(timed(recorded(0, 50, 100, 150, 200)), send, report, clock=clock)

    assert sent == pytest.approx([0, 0.05, 0.18, 0.18, 0.2])
    assert (report.frames, report.late) == (5, 2)
    assert report.worst_late_s == pytest.approx(0.08)


def test_the_clock_topic_follows_the_recording() -> None:
    clock, told = FakeClock(), []
    events: list[str] = []

    def publish_clock(time_ns: int) -> None:
        told.append(time_ns - 5_000_000 * MS)
        events.append('clock')

    play(timed(recorded(0, 100), rate=2.0), lambda message: events.append('image'),
         PlaybackReport(), rate=2.0, publish_clock=publish_clock, clock_period_s=0.02,
         clock=clock)

    assert told == pytest.approx([0, 0, 40 * MS, 80 * MS, 100 * MS])
    assert events == ['clock', 'image', 'clock', 'clock', 'clock', 'clock', 'image']


def test_an_interrupted_playback_still_reports() -> None:
    report = PlaybackReport()

    def send(message: TimedMessage) -> None:
        if message.cdr == b'2':
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play(timed(recorded(0, 60, 140)), send, report, clock=FakeClock())

    assert report.frames == 2


def test_read_ahead_yields_everything_in_order() -> None:
    with read_ahead(iter(range(100)), limit=3) as items:
        assert list(items) == list(range(100))


def test_read_ahead_stays_within_its_bound() -> None:
    taken = []
    full = threading.Event()

    def source() -> Iterator[int]:
        for number in itertools.count():
            taken.append(number)
            if number == 3:
                full.set()
            yield number

    with read_ahead(source(), limit=3) as items:
        assert full.wait(timeout=30)  # three wait in the queue, the fourth for room in it
        assert next(iter(items)) == 0

    assert len(taken) <= 3 + 1 + 1 + 3  # what closing takes out makes room once more


def test_read_ahead_raises_what_its_source_raises() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ImageError('broken')

    taken = []
    with read_ahead(source()) as items, pytest.raises(ImageError, match='broken'):
        for item in items:
            taken.append(item)

    assert taken == [1]


def test_read_ahead_ends_while_its_source_waits_for_room() -> None:
    with read_ahead(itertools.count(), limit=1):
        pass

    assert not any(thread.name == 'read_ahead' for thread in threading.enumerate())
