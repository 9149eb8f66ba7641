# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Streaming accuracy: the newest output of each instant, by hand and by loops."""

import dataclasses
import itertools

from hand_clock import STATUS
import numpy as np
import pytest

from lvs_ros.errors import ConfigurationError
from lvs_ros.evaluation.playing import TimedStep, any_overtaken, newest_of, with_durations
from lvs_ros.evaluation.streaming import (StatedDurations, labels_one_frame_old, newest_outputs)
from lvs_ros.pipeline.frame import Frame

STAMPS_S = [0.0, 0.1, 0.2, 0.3, 0.4]


def frames(count: int, period_ms: int = 100) -> list[Frame]:
    return [Frame(np.zeros((2, 2, 3), np.uint8), number * period_ms * 1_000_000)
            for number in range(count)]


@pytest.mark.parametrize('published, expected', [
    # at once: the newest is that of the frame before; the one that arrives has no output yet
    ([(0, 0.0), (1, 0.12), (2, 0.22), (3, 0.32)], [None, 0, 1, 2, 3]),
    # the very moment at which it is there counts
    ([(0, 0.0), (1, 0.2), (2, 0.3)], [None, 0, 1, 2, 2]),
    # a frame and a half late; frame 2 was overtaken
    ([(0, 0.0), (1, 0.25), (3, 0.4)], [None, 0, 0, 1, 3]),
    # what is there after the last frame is of no use
    ([(0, 0.0), (1, 0.9)], [None, 0, 0, 0, 0]),
])
def test_the_newest_output_of_each_instant(published: list, expected: list) -> None:
    assert newest_outputs(STAMPS_S, published) == expected


def test_the_newest_output_is_that_of_a_naive_search() -> None:
    random = np.random.default_rng(3)
    for _ in range(50):
        stamps_s = np.cumsum(random.uniform(0.01, 0.2, 12))
        numbers = [0, *sorted(random.choice(np.arange(1, 12), 6, replace=False))]
        times_s = [0.0, *np.cumsum(random.uniform(0.05, 0.3, 6))]
        published = list(zip(numbers, times_s))
        expected = [None] + [max(number for number, time_s in published if time_s <= stamp_s)
                             for stamp_s in stamps_s[1:]]
        assert newest_outputs(list(stamps_s), published) == expected


def test_stated_durations_make_frames_wait() -> None:
    steps = [TimedStep(number, STATUS, 1.0, 1.0) for number in range(5)]
    # From 100 to 250, 250 to 330, 330 to 410, 410 to 430.
    found = with_durations(frames(5), steps, [0.5, 0.15, 0.08, 0.08, 0.02])
    assert [round(step.latency_ms) for step in found] == [500, 150, 130, 110, 30]
    assert [round(step.compute_ms) for step in found] == [500, 150, 80, 80, 20]
    assert not any_overtaken(frames(5), found)
    # Frame 2 waits until 310, when frame 3 is there.
    assert any_overtaken(frames(5), with_durations(frames(5), steps, [0.5, 0.21, 0.1, 0.1, 0.1]))
    # Frame 2 waits until the very moment that frame 3 comes.
    assert any_overtaken(frames(5), with_durations(frames(5), steps, [0.5, 0.2, 0.1, 0.1, 0.1]))
    assert newest_of(frames(5), found) == [None, 0, 0, 1, 2]


@pytest.mark.parametrize('schedule, key_frame, small_share, expected_s', [
    ('every_frame', True, None, 0.22 + 0.18), ('every_frame', True, 1.0, 0.055),
    ('every_frame', True, 0.5, 0.0275), ('low_latency', True, None, 0.055),
    ('adaptive', True, None, 0.4), ('fixed', False, None, 0.055)])
def test_what_is_computed_in_full_takes_as_long_as_the_full_network(
        schedule: str, key_frame: bool, small_share: float | None, expected_s: float) -> None:
    status = dataclasses.replace(STATUS, schedule=schedule, key_frame=key_frame)
    durations = StatedDurations(full_s=0.22, slow_s=0.18, flip_averaging=True)
    assert durations.of(status, small_share=small_share) == pytest.approx(expected_s)


def test_the_whole_takes_no_less_than_its_part() -> None:
    with pytest.raises(ConfigurationError, match='at least 0.2 s, that of S_h'):
        StatedDurations(full_s=0.1, slow_s=0.2, flip_averaging=False)


def test_labels_as_the_next_frames_mask() -> None:
    random = np.random.default_rng(1)
    labels = [random.integers(0, 4, (6, 8)).astype(np.uint8) for _ in range(5)]
    labels[1][:, :3] = labels[3][2] = 255
    expected = np.zeros((4, 4), int)
    for before, now in itertools.pairwise(labels):
        for old, new in zip(before.flat, now.flat):
            if old < 4 and new < 4:
                expected[new, old] += 1
    np.testing.assert_array_equal(labels_one_frame_old(labels, 4), expected)
    # a frame without labels is neither mask nor truth
    assert labels_one_frame_old([labels[0], None, labels[2]], 4).sum() == 0
