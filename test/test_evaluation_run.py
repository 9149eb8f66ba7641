# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The queue of frames, by a clock that goes on only when the test says so."""

import dataclasses
from typing import Sequence
import weakref

import numpy as np
import pytest
from hand_clock import STATUS, HandClock

from lvs_ros.evaluation.clock import SkippingClock
from lvs_ros.evaluation.playing import play
from lvs_ros.pipeline.frame import Frame, StepResult

MS = 1_000_000


class Worker:
    """Takes a given time for each frame, and tells how much of it was the slow track's."""

    def __init__(self, clock: HandClock, takes_ms: Sequence[float],
                 slow_ms: Sequence[float]) -> None:
        self.clock, self.takes_ms, self.slow_ms = clock, takes_ms, slow_ms
        self.started_ms: list[float] = []

    def step(self, frame: Frame) -> StepResult:
        number = len(self.started_ms)
        self.started_ms.append((self.clock.time_s - 1000.0) * 1e3)
        self.clock.time_s += self.takes_ms[number] / 1e3
        return StepResult(
            mask=np.zeros((2, 2), np.uint8), confidence=None, status=dataclasses.replace(
                STATUS, stage_ms={'slow_track': self.slow_ms[number]}))


def played(stamps_ms: Sequence[int], takes_ms: Sequence[float],
           slow_ms: Sequence[float] | None = None, *,
           leave_out_slow_track: bool = False) -> tuple[Worker, list[float], list[float]]:
    clock = HandClock()
    worker = Worker(clock, takes_ms, slow_ms or [0.0] * len(takes_ms))
    blank = np.zeros((2, 2, 3), np.uint8)
    steps = play(worker, [Frame(blank, stamp * MS) for stamp in stamps_ms], clock,
                 leave_out_slow_track=leave_out_slow_track)
    return (worker, [round(step.latency_ms, 6) for step in steps],
            [round(step.compute_ms, 6) for step in steps])


def test_a_frame_waits_for_the_one_before_it() -> None:
    # The camera runs from the first mask on, at 200 ms. The second frame takes from 300 to 450,
    # so the third, of 400, waits until 450 and is done at 480; the fourth comes at 500.
    worker, latency_ms, compute_ms = played([0, 100, 200, 300], [200, 150, 30, 40])
    assert worker.started_ms == pytest.approx([0, 300, 450, 500])
    assert latency_ms == [200, 150, 80, 40]
    assert compute_ms == [200, 150, 30, 40]


def test_frames_keep_the_spacing_of_their_stamps() -> None:
    worker, latency_ms, _ = played([50, 60, 360], [5, 5, 5])
    assert worker.started_ms == pytest.approx([0, 15, 315])
    assert latency_ms == [5, 5, 5]


def test_a_queue_grows_without_end_where_frames_take_too_long() -> None:
    _, latency_ms, compute_ms = played([0, 10, 20, 30, 40], [25] * 5)
    assert latency_ms == [25, 25, 40, 55, 70]
    assert compute_ms == [25] * 5


def test_what_runs_within_the_step_in_place_of_the_background_is_left_out() -> None:
    # S_h of the first frame is its own; the third step contains a result of 60 ms, the fifth one
    # of 61 ms.
    slow = [0.0, 0.0, 60.0, 0.0, 61.0]
    _, latency_ms, compute_ms = played([0, 100, 200, 300, 400], [70, 20, 80, 20, 81], slow,
                                       leave_out_slow_track=True)
    assert compute_ms == latency_ms == [70, 20, 20, 20, 20]
    _, _, compute_ms = played([0, 100, 200, 300, 400], [70, 20, 80, 20, 81], slow)
    assert compute_ms == [70, 20, 80, 20, 81]


def test_the_newest_frame_wins() -> None:
    # The first mask is there at 50 ms. The frame of 100 ms is computed from 150 to 380: of those
    # of 200 and 300 ms (at 250 and 350) the newer one follows, until 400; then, at 450, the last.
    clock = HandClock()
    worker = Worker(clock, [50, 230, 20, 20], [0.0] * 4)
    blank = np.zeros((2, 2, 3), np.uint8)
    done = []
    steps = play(worker, [Frame(blank, stamp * MS) for stamp in (0, 100, 200, 300, 400)], clock,
                 newest_only=True, finish=lambda number, frame, result: done.append(number))
    assert [step.index for step in steps] == done == [0, 1, 3, 4]
    assert worker.started_ms == pytest.approx([0, 150, 380, 450])
    assert [round(step.latency_ms) for step in steps] == [50, 230, 50, 20]


def test_what_is_done_with_a_result_counts_as_computing() -> None:
    clock = HandClock()

    def finish(number: int, frame: Frame, result: StepResult) -> None:
        clock.time_s += 0.005

    steps = play(Worker(clock, [10, 10], [0.0, 0.0]), [
        Frame(np.zeros((2, 2, 3), np.uint8), stamp * MS) for stamp in (0, 100)], clock,
        finish=finish)
    assert [round(step.compute_ms) for step in steps] == [15, 15]


def test_masks_are_copied_and_the_memory_of_a_step_is_free_for_the_next() -> None:
    # What is kept of one step lies where the next one needs memory: the process would grow.
    class Labeller:
        def __init__(self) -> None:
            self.mask: weakref.ref[np.ndarray] | None = None

        def step(self, frame: Frame) -> StepResult:
            assert self.mask is None or self.mask() is None
            mask = np.full((2, 3), frame.stamp_ns, np.uint8)
            self.mask = weakref.ref(mask)
            return StepResult(mask=mask, confidence=None, status=STATUS)

    masks = np.zeros((3, 2, 3), np.uint8)
    blank = np.zeros((2, 3, 3), np.uint8)
    play(Labeller(), [Frame(blank, stamp_ns) for stamp_ns in (5, 6, 7)], HandClock(), masks=masks)
    assert masks[:, 1, 2].tolist() == [5, 6, 7]
    play(Labeller(), [Frame(blank, 5), Frame(blank, 6)], HandClock())


def test_the_skipping_clock_waits_for_nothing() -> None:
    clock = SkippingClock()
    begin_s = clock.now()
    clock.sleep_until(begin_s + 1e6)     # the test would not end
    assert clock.now() >= begin_s + 1e6
    clock.sleep_until(begin_s)           # has passed
    assert clock.now() >= begin_s + 1e6
    clock.leave_out(2e6)
    assert clock.now() < begin_s
