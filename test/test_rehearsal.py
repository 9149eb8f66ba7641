# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The rehearsal: begun so long before the next frame as the last one took, for cameras only."""

import math
from typing import Iterator

import pytest

from hand_clock import HandClock
from lvs_ros.pipeline.rehearsal import Rehearsal

GUESS_S, EARLY_S = 0.01, 0.001    # how long the first is expected to take; before the frame


class Rig:
    """A rehearsal of steps of so many milliseconds, and how many were done."""

    def __init__(self, *steps_ms: float) -> None:
        self.clock = HandClock()
        self.steps_ms, self.done = steps_ms, 0
        self.arrival_s = self.clock.now()
        self.rehearsal = Rehearsal(self.steps, clock=self.clock.now)

    def steps(self) -> Iterator[None]:
        for step_ms in self.steps_ms:
            self.clock.sleep_until(self.clock.now() + step_ms / 1000)
            self.done += 1
            yield

    def frames(self, *intervals_s: float) -> None:
        self.rehearsal.note_frame(self.clock.now())
        for interval_s in intervals_s:
            self.clock.sleep_until(self.clock.now() + interval_s)
            self.rehearsal.note_frame(self.clock.now())

    def drive(self, frames: int) -> int:
        """Frames of 10 ms come ten times a second; return how many rehearsals were whole."""
        wholes = 0
        for _ in range(frames):
            self.arrival_s += 0.1
            while self.clock.now() + self.rehearsal.due_in_s() < self.arrival_s:
                self.clock.sleep_until(self.clock.now() + self.rehearsal.due_in_s())
                done = self.done
                self.rehearsal.step()
                wholes += self.done == done    # the one that ended
            self.clock.sleep_until(self.arrival_s)
            self.clock.sleep_until(self.clock.now() + 0.01)
            self.rehearsal.note_frame(self.arrival_s)
        return wholes

    def do_all(self) -> None:
        while self.rehearsal.due_in_s() < math.inf:
            self.clock.sleep_until(self.clock.now() + self.rehearsal.due_in_s())
            self.rehearsal.step()


def test_the_second_begins_as_long_before_a_frame_as_the_first_took() -> None:
    rig = Rig(2, 1, 4)
    rig.frames(*[0.1] * 5)
    assert rig.rehearsal.due_in_s() == pytest.approx(0.1 - GUESS_S - EARLY_S)
    rig.do_all()
    assert rig.done == 3
    rig.clock.sleep_until(rig.clock.now() + GUESS_S + EARLY_S - 0.007)
    rig.frames()
    assert rig.rehearsal.due_in_s() == pytest.approx(0.1 - 0.007 - EARLY_S)


def test_a_frame_ends_it_and_the_next_one_is_whole() -> None:
    rig = Rig(2, 2, 2)
    rig.frames(*[0.1] * 5)
    rig.clock.sleep_until(rig.clock.now() + 0.095)
    rig.rehearsal.step()
    rig.clock.sleep_until(rig.clock.now() + 0.003)
    rig.frames()
    assert rig.rehearsal.due_in_s() == pytest.approx(0.1 - GUESS_S - EARLY_S)
    rig.do_all()
    assert rig.done == 4


def test_one_that_takes_longer_than_expected_begins_earlier() -> None:
    rig = Rig(5, 5, 5, 5, 5)
    assert rig.drive(8) == 0
    assert rig.drive(20) == 20


def test_one_that_was_held_up_is_not_the_last() -> None:
    rig = Rig(2, 2)
    assert rig.drive(8) == 2
    rig.steps_ms = 2, 95    # the system had something else to do
    assert rig.drive(1) == 0
    rig.steps_ms = 2, 2
    assert rig.drive(3) == 0    # it would have to begin before the frame before
    rig.drive(10)
    assert rig.drive(20) == 20


@pytest.mark.parametrize('intervals_s, expected', [
    ([0.1] * 4, False), ([0.1] * 5, True), ([0.1, 0.11, 0.09, 0.1, 0.1], True),
    ([0.1, 0.1, 0.13, 0.1, 0.1], False), ([0.1, 0.2, 0.1, 0.1, 0.1], False),
    ([0.2] * 3 + [0.1] * 5, True), ([1.1] * 5, False)])
def test_only_what_is_regular_is_expected(intervals_s: list[float], expected: bool) -> None:
    rig = Rig(1)
    rig.frames(*intervals_s)
    assert (rig.rehearsal.due_in_s() < math.inf) is expected


@pytest.mark.parametrize('pause_ms, expected', [(-20, False), (3, False), (7, True)])
def test_where_frames_follow_each_other_nothing_gets_cold(pause_ms: float, expected: bool
                                                          ) -> None:
    rig = Rig(1)
    rig.frames(*[0.1] * 4)
    arrival_s = rig.clock.now() + 0.1
    rig.clock.sleep_until(arrival_s + 0.1 - GUESS_S - EARLY_S - pause_ms / 1000)    # it takes long
    rig.rehearsal.note_frame(arrival_s)
    assert (rig.rehearsal.due_in_s() < math.inf) is expected


def test_after_an_error_there_are_no_more() -> None:
    def fail() -> Iterator[None]:
        raise MemoryError
        yield

    clock = HandClock()
    rehearsal = Rehearsal(fail, clock=clock.now)
    for _ in range(8):
        clock.sleep_until(clock.now() + 0.1)
        rehearsal.note_frame(clock.now())
    clock.sleep_until(clock.now() + 0.1)
    with pytest.warns(UserWarning, match='no more is rehearsed'):
        rehearsal.step()
    rehearsal.note_frame(clock.now())
    assert rehearsal.due_in_s() == math.inf
