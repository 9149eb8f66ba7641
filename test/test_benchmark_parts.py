# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a benchmark is made of: rows by a hand clock, tables, clips."""

import contextlib
import dataclasses
import math
import pathlib
import types
from typing import Any, Iterator, Mapping

import numpy as np
import pytest
import torch
from hand_clock import STATUS, HandClock

from lvs_ros.benchmark.benchmark import Benchmark
from lvs_ros.benchmark.busy_executor import BusyExecutor
from lvs_ros.benchmark.clip import clip_frames
from lvs_ros.benchmark.durations import Durations
from lvs_ros.benchmark.errors import BenchmarkError
from lvs_ros.benchmark.over_dds import OverDds
from lvs_ros.benchmark.plan import Plan
from lvs_ros.benchmark.random_model import random_model
from lvs_ros.benchmark.report import as_text
from lvs_ros.benchmark.rows import RowResult, measure_rows, share
from lvs_ros.model import load_network
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.execution import Job, SimulatedExecutor
from lvs_ros.pipeline.frame import Frame, StepResult

BLANK = np.zeros((2, 2, 3), np.uint8)
CLIP = BLANK, BLANK
FULL_MS, FAST_MS, SLOW_MS = 100.0, 10.0, 35.0
PLAN = Plan(PipelineOptions(threshold=0.3, max_key_age_frames=7), 'blank', rate_hz=20.0, frames=8)


class Worker:
    """Takes a given time for each frame, and ``slow_ms`` for S_h, a hundredth more each time.

    At threshold 0 every fourth frame finds that S_h has ended.
    """

    def __init__(self, clock: HandClock, every_frame: bool, opened: int) -> None:
        self.threshold, self.max_key_age_frames = 0.5, 3
        self.executor = types.SimpleNamespace(description='by hand')
        self.fallbacks: list[str] = []
        self.clock, self.every_frame, self.opened = clock, every_frame, opened
        self.number = self.ended = 0
        self.settings: list[tuple[float, int]] = []

    def reset(self) -> None:
        self.number = 0

    def change(self, *, threshold: float, max_key_age_frames: int) -> None:
        self.threshold, self.max_key_age_frames = threshold, max_key_age_frames

    def step(self, frame: Frame) -> StepResult:
        if self.number == 0:
            self.settings.append((self.threshold, self.max_key_age_frames))
        in_full = self.every_frame or self.number == 0
        self.ended += in_full or (self.threshold == 0 and self.number % 4 == 0)
        self.number += 1
        took_ms = (FULL_MS if in_full else FAST_MS) + self.opened
        self.clock.time_s += took_ms / 1e3
        return StepResult(mask=BLANK[..., 0], confidence=None, status=dataclasses.replace(
            STATUS, slow_track_ms=SLOW_MS + 0.01 * self.ended,
            stage_ms={'low': took_ms / 2, 'flow': math.nan, 'rest': took_ms / 2}))


class Opener:
    """Opens workers; those of a later time are a millisecond slower than those before.

    :param error: of S_h
    """

    def __init__(self, error: str | None = None) -> None:
        self.clock, self.error = HandClock(), error
        self.workers: list[Worker] = []
        self.open_now = 0

    @contextlib.contextmanager
    def open(self, changes: Mapping[str, Any]) -> Iterator[Any]:
        assert self.open_now == 0, 'another one is open'
        self.open_now += 1
        worker = Worker(self.clock, changes['schedule'] == 'every_frame', len(self.workers))
        if self.error is not None:
            step = worker.step
            worker.step = lambda frame: dataclasses.replace(  # type: ignore[method-assign]
                step(frame), status=dataclasses.replace(STATUS, slow_track_error=self.error))
        self.workers.append(worker)
        yield worker
        self.open_now -= 1


@pytest.fixture(scope='module')
def opener() -> Opener:
    return Opener()


@pytest.fixture(scope='module')
def rows(opener: Opener) -> dict[str, RowResult]:
    return measure_rows(opener.open, PLAN, CLIP, opener.clock)


def test_each_row_is_measured_in_three_parts_in_turn(
        rows: dict[str, RowResult], opener: Opener) -> None:
    assert [worker.every_frame for worker in opener.workers] == 3 * [True, True, False]
    # The third, sixth and ninth worker take 2, 5 and 8 ms more; 2, 3 and 3 of the 8 frames.
    for name in ('fast_alone', 'fast_alone_at_rate', 'fast_contended', 'at_rate'):
        assert dataclasses.astuple(rows[name].step_ms) == pytest.approx((15, 18, 18, 18, 8)), name
    # S_h has time to end: three times as many frames
    assert rows['fast_contended_back_to_back'].step_ms.count == 24
    assert rows['full'].step_ms.worst == pytest.approx(106)
    assert rows['full_flip_averaging'].step_ms.worst == pytest.approx(107)


def test_each_row_sets_when_s_h_runs(rows: dict[str, RowResult], opener: Opener) -> None:
    fast = opener.workers[2]
    # alone twice, while S_h runs twice, and as the options say
    assert fast.settings == [(1.0, 0), (1.0, 0), (0.0, 0), (0.0, 0), (0.3, 7)]


def test_stages_are_told_by_their_medians(rows: dict[str, RowResult]) -> None:
    stage_ms = rows['fast_alone'].stage_ms
    assert list(stage_ms) == ['low', 'flow', 'rest']
    assert stage_ms['low'] == pytest.approx(7.5) and math.isnan(stage_ms['flow'])


def test_each_run_of_s_h_is_told_once(rows: dict[str, RowResult]) -> None:
    alone = rows['full'].slow_ms
    assert alone is not None and alone.count == 8
    # of 3 + 2 and 3 + 3 frames, the fifth of each part
    contended = rows['fast_contended'].slow_ms
    assert contended is not None and contended.count == 3
    assert rows['fast_alone'].slow_ms is None and rows['fast_alone'].slow_runs_per_s is None
    assert rows['fast_contended'].slow_runs_per_s == pytest.approx(1e3 / 35, rel=0.01)


def test_a_slow_track_that_fails_is_an_error() -> None:
    failing = Opener('RuntimeError: too large')
    with pytest.raises(BenchmarkError, match='S_h failed: RuntimeError: too large'):
        measure_rows(failing.open, PLAN, CLIP, failing.clock)


@pytest.mark.parametrize('count, parts, expected', [(8, 3, [2, 3, 3]), (3, 3, [1, 1, 1]),
                                                    (2, 4, [0, 1, 0, 1])])
def test_parts_share_all_frames(count: int, parts: int, expected: list[int]) -> None:
    assert [share(count, part, parts) for part in range(parts)] == expected


def test_durations() -> None:
    durations = Durations.of([float(value) for value in range(100, -1, -1)])
    assert durations == Durations(p50=50, p95=95, p99=99, worst=100, count=101)


@pytest.fixture
def benchmark(rows: dict[str, RowResult]) -> Benchmark:
    return Benchmark(
        plan=PLAN, images='synthetic street', size=(640, 480), machine='Some Processor',
        precision='float32', rows=rows,
        peak_rss_bytes=123_000_000, peak_device_bytes=0, over_dds=OverDds(
            latency_ms=Durations(13.0, 14.0, 15.0, 16.0, 10), node_ms=Durations(3, 4, 5, 6, 10),
            echo_ms=Durations(2, 3, 4, 5, 10), sent=11, masks=10), dds_error=None)


def test_the_text_is_for_a_terminal(benchmark: Benchmark) -> None:
    text = as_text(benchmark)
    assert max(map(len, text.splitlines())) <= 80
    # 15 of 103 ms and 18 of 106, which are the eighth and, with flip averaging, the ninth worker's
    assert ('While S_h runs at 20 Hz, a frame takes 15.0 ms (p50), 18.0 ms (p99): 0.15 and 0.17 '
            'of the full network, 0.14 and 0.17 of that with flip averaging.'
            ) in text.replace('\n', ' ')
    lines = [line.split() for line in text.splitlines()]
    assert 'fast track alone, back to back 15.0 18.0 18.0 18.0 8'.split() in lines
    assert 'over DDS, 20 Hz, 10 of 11 masks 13.0 14.0 15.0 16.0 10'.split() in lines
    assert 'echo node, same images 2.0 3.0 4.0 5.0 10'.split() in lines
    assert 'optical flow not known not known not known not known'.split() in lines
    assert '123 MB' in text


def test_the_text_tells_what_could_not_be_measured(benchmark: Benchmark) -> None:
    text = as_text(dataclasses.replace(benchmark, over_dds=None, dds_error='no mask came'))
    assert 'The way over DDS could not be measured: no mask came' in text
    assert 'echo node' not in text


def test_the_text_tells_what_is_slower_than_it_should_be(benchmark: Benchmark) -> None:
    assert 'Slower than it should be' not in as_text(benchmark)
    row = dataclasses.replace(benchmark.rows['full'], fallbacks=['torch in place of a kernel'])
    text = as_text(dataclasses.replace(benchmark, rows={**benchmark.rows, 'full': row}))
    assert text.count('Slower than it should be: torch in place of a kernel.') == 1


def test_a_job_begins_again_until_a_newer_one_comes() -> None:
    executor = BusyExecutor(SimulatedExecutor(0.010))
    executor.repeats = True
    first, second = (Job(key, 0, lambda: torch.zeros(1), refine=lambda high: high + 1)
                     for key in (1, 2))
    executor.submit(first)
    assert [result.job.key for result in executor.results(35_000_000)] == [1, 1, 1]
    executor.submit(second)    # waits for the fourth
    results = executor.results(65_000_000)
    assert [result.job.key for result in results] == [1, 2, 2]
    assert executor.runs == 6 and not any(result.refined for result in results)
    executor.cancel()
    assert executor.results(10**9) == [] and not executor.busy


def test_a_clip_goes_to_and_fro() -> None:
    images = tuple(np.full((2, 2, 3), number, np.uint8) for number in range(4))
    frames = clip_frames(images, 9, rate_hz=10.0)
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert [frame.stamp_ns for frame in frames[:3]] == [0, 100_000_000, 200_000_000]


def test_a_random_model_is_deleted_in_the_end() -> None:
    with random_model('tiny') as path:
        assert load_network(path).config.backbone == 'resnet18'
    assert not pathlib.Path(path).parent.exists()
