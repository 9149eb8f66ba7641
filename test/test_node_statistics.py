# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Counting, percentiles and judgement: no ROS in here."""

import math

import numpy as np
import pytest

from lvs_ros.node.diagnostics import (Condition, FrameRecord, FrameWindow, Level, judge,
                                      percentiles)
from lvs_ros.node.drop_counter import DropCounter
from lvs_ros.node.stamp_age import stamp_age

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND


@pytest.mark.parametrize('usual_ms, processing_ms, frame_s, still_s, expected', [
    (60.0, 20.0, 1.9, 1.9, []), (60.0, 20.0, 2.1, 0.0, ['frame']),
    (60.0, 20.0, 0.0, 2.1, ['S_h']), (60.0, 20.0, 9.0, 9.0, ['frame', 'S_h']),
    # a slow machine takes its time
    (4e3, 20.0, 11.9, 11.9, []), (4e3, 20.0, 12.1, 12.1, ['frame', 'S_h']),
    (60.0, 5e3, 14.9, 0.0, []), (60.0, 5e3, 15.1, 0.0, ['frame']),
    (None, None, 4.9, 4.9, []), (None, None, 5.1, 5.1, ['frame', 'S_h'])])
def test_what_does_not_come_back(
        usual_ms: float | None, processing_ms: float | None, frame_s: float, still_s: float,
        expected: list[str]) -> None:
    window = FrameWindow()
    if processing_ms is not None:
        window.add(FrameRecord(time_s=0.0, published=True, processing_ms=processing_ms))
    level, message = judge(window.summary(1.0), Condition(
        active=True, publishers=1, silent_s=0.0, slow_track_ms=usual_ms,
        slow_track_still_s=still_s, frame_s=frame_s, watchdog_s=10.0))
    assert level == (Level.ERROR if expected else Level.OK)
    assert ('a frame has been in work' in message) == ('frame' in expected)
    assert ('(S_h) has not come back' in message) == ('S_h' in expected)
    assert ('after 10 s (watchdog_s) the process ends' in message) == ('frame' in expected)


def test_gaps_in_the_numbers_are_lost_frames() -> None:
    drops = DropCounter()
    assert [drops.update(number) for number in (5, 6, 9, 10, 20)] == [0, 0, 2, 0, 9]
    assert drops.lost == 11
    assert drops.exact


def test_a_publisher_that_starts_again_begins_a_new_count() -> None:
    drops = DropCounter()
    assert [drops.update(number) for number in (100, 101, 1, 3, 3, 4)] == [0, 0, 0, 1, 0, 0]
    assert drops.lost == 1


def test_publishers_are_counted_apart_where_they_can_be_told_apart() -> None:
    drops = DropCounter()
    for number in range(1, 5):
        for name in (b'one', b'two'):
            info = {'publication_sequence_number': number * (7 if name == b'two' else 1),
                    'publisher_gid': {'implementation_identifier': 'rmw', 'data': name}}
            assert drops.update_from_info(info) == (6 if name == b'two' and number > 1 else 0)


def test_without_numbers_nothing_is_invented() -> None:
    drops = DropCounter()
    assert drops.update_from_info({'publication_sequence_number': None}) == 0
    assert drops.update_from_info({}) == 0
    assert (drops.lost, drops.exact) == (0, False)


def test_a_camera_that_keeps_restarting_fills_no_memory() -> None:
    drops = DropCounter()
    for publisher in range(1000):
        assert [drops.update(number, publisher) for number in (1, 3)] == [0, 1]
    assert len(drops._last) < 100


def test_an_absurd_gap_is_another_numbering() -> None:
    drops = DropCounter()
    assert [drops.update(number) for number in (1, 2**63, 2**63 + 2)] == [0, 0, 1]


@pytest.mark.parametrize('age_s, latency_ms', [(0.0, 0.0), (0.05, 50.0), (20.0, 20e3),
                                               (-0.05, -50.0)])
def test_age_of_a_frame(age_s: float, latency_ms: float) -> None:
    age = stamp_age(NOW - round(age_s * SECOND), NOW)
    assert age.latency_ms == pytest.approx(latency_ms)
    assert age.explanation is None


@pytest.mark.parametrize('stamp_ns, now_ns, reason', [
    (NOW - 86400 * 300 * SECOND, NOW, '300 days behind'),
    (NOW - 61 * SECOND, NOW, '61.0 s behind'),
    (NOW + 7200 * SECOND, NOW, '2 hours ahead'),
    (0, NOW, 'carry no stamp'),
    (NOW, 0, '/clock'),
])
def test_stamps_of_another_clock(stamp_ns: int, now_ns: int, reason: str) -> None:
    age = stamp_age(stamp_ns, now_ns)
    assert age.latency_ms is None
    assert age.explanation is not None and reason in age.explanation
    assert age.is_stale(1.0), 'who wants fresh frames gets no frame of unknown age as fresh'
    assert not age.is_stale(0.0)


def test_stale_begins_above_the_limit() -> None:
    age = stamp_age(NOW - SECOND // 2, NOW)
    assert [age.is_stale(limit_s) for limit_s in (0.4, 0.6, 0.0)] == [True, False, False]


def test_percentiles_are_nearest_ranks() -> None:
    # of 20 samples, 95 % are 19 of them; 50 % are 10; 99 % are more than 19
    samples = [float(number) for number in np.random.default_rng(0).permutation(20) + 1]
    assert percentiles(samples) == {'p50': 10.0, 'p95': 19.0, 'p99': 20.0, 'max': 20.0}
    assert percentiles([7.0]) == {'p50': 7.0, 'p95': 7.0, 'p99': 7.0, 'max': 7.0}
    assert all(math.isnan(value) for value in percentiles([]).values())


def window_of(count: int, *, rate_hz: float = 10.0, **fields: object) -> FrameWindow:
    window = FrameWindow(length_s=10.0)
    for number in range(count):
        window.add(FrameRecord(time_s=100.0 + number / rate_hz,
                               **({'published': True} | fields)))  # type: ignore[arg-type]
    return window


def test_the_window_forgets_and_the_totals_do_not() -> None:
    window = window_of(300, latency_ms=5.0)  # 30 s at 10 Hz
    summary = window.summary(129.9)
    assert summary.received == summary.published == pytest.approx(100, abs=1)
    assert summary.rate_in_hz == pytest.approx(10.0, rel=0.02)
    assert window.totals.received == window.totals.published == 300
    assert window.summary(200.0).received == 0
    assert window.last_time_s == pytest.approx(129.9)


def test_the_rate_is_right_from_the_second_second_on() -> None:
    assert window_of(21).summary(102.0).rate_out_hz == pytest.approx(10.5)


def test_frames_of_no_mask_have_no_latency() -> None:
    window = window_of(2, latency_ms=5.0)
    window.add(FrameRecord(time_s=101.0, malformed=True, lost=3))
    summary = window.summary(101.0)
    assert summary.latency_ms['max'] == 5.0
    assert summary.dropped_fraction == pytest.approx(4 / 6)
    assert window.totals.dropped == 4


def active(**fields: object) -> Condition:
    return Condition(**({'active': True, 'topic': '/image_raw', 'silent_s': 0.1,  # type: ignore
                         'publishers': 1} | fields))


@pytest.mark.parametrize('condition, level, text', [
    (Condition(active=False), Level.OK, 'inactive'),
    (Condition(active=False, shut_down=True), Level.STALE, 'shut down'),
    (Condition(active=False, transition_error='no model'), Level.ERROR, 'no model'),
    (active(publishers=2), Level.WARN, 'two cameras'),
    (active(), Level.OK, 'publishing masks'),
    (active(silent_s=None, publishers=0), Level.STALE, 'it has no publisher'),
    (active(silent_s=None, publishers=0, foreign_types=['foxglove_msgs/msg/CompressedVideo']),
     Level.STALE, 'ros2 run image_transport republish --ros-args -p in_transport:=foxglove'),
    (active(silent_s=None, publishers=0,
            foreign_types=['ffmpeg_image_transport_msgs/msg/FFMPEGPacket']),
     Level.STALE, 'FFMPEGPacket, which is coded video; decode it on the way to here: ros2 run'),
    (active(silent_s=None, publishers=0, foreign_types=['sensor_msgs/msg/CompressedImage']),
     Level.STALE, 'set the parameter input_transport'),
    (active(silent_s=5.0), Level.STALE, 'for 5.0 s'),
    (active(slow_track_error='out of memory', slow_track_failures=3), Level.ERROR,
     'failed 3 times: out of memory'),
    (active(clock_problem='another clock'), Level.WARN, 'another clock'),
    (active(fallbacks=['no graphs (because)']), Level.WARN,
     'slower than it should be: no graphs (because)'),
])
def test_judgement(condition: Condition, level: Level, text: str) -> None:
    found, message = judge(window_of(20).summary(102.0), condition)
    assert found == level
    assert text in message


def test_the_worst_comes_first_and_nothing_is_left_out() -> None:
    window = window_of(20, stale=True)
    window.add(FrameRecord(time_s=102.0, malformed=True, lost=30))
    level, message = judge(window.summary(102.0), active(
        slow_track_error='out of memory', clock_problem='another clock', silent_s=3.0,
        last_malformed='short data'))
    assert level == Level.ERROR
    parts = message.split('; ')
    assert 'out of memory' in parts[0]
    for text in ('no image', 'another clock', 'stale', 'short data', 'got no mask'):
        assert text in message
