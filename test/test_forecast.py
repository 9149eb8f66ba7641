# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Looking ahead, against motion that is known exactly."""

import pathlib
from typing import Optional

import cv2
from hand_clock import STATUS
from native_levels import each_level, forced, needs_kernels
import numpy as np
import pytest
import torch

from lvs_ros.errors import ConfigurationError
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.build import build_pipeline
from lvs_ros.pipeline.execution import SimulatedExecutor
from lvs_ros.pipeline.forecast import Forecast, Forecaster, find_sources, look_ahead
from lvs_ros.pipeline.frame import Frame, StepResult
from lvs_ros.pipeline.optical_flow import OpticalFlow

HEIGHT, WIDTH = 180, 240
PERIOD_NS = 66_666_667
MARGIN = 24    # pixels at a border, of which not all were in sight


def textured(size: int, seed: int = 0) -> np.ndarray:
    """Return spots of several sizes, (size, size) uint8."""
    random = np.random.default_rng(seed)
    image = sum(cv2.resize(random.normal(0, 1, (size // n, size // n)).astype(np.float32),
                           (size, size), interpolation=cv2.INTER_CUBIC) for n in (4, 8, 20))
    return np.asarray(255 * (image - np.min(image)) / np.ptp(image), np.uint8)


def labelled(size: int) -> np.ndarray:
    """Return large patches of five classes, (size, size) uint8."""
    random = np.random.default_rng(5)
    return cv2.resize(random.integers(0, 5, (size // 40, size // 40)).astype(np.uint8),
                      (size, size), interpolation=cv2.INTER_NEAREST)


def seen(world: np.ndarray, motion: np.ndarray, interpolation: int) -> np.ndarray:
    """Return what a camera sees of a world whose middle it looks at.

    :param motion: (2, 3), where a point has moved to, in pixels from the middle of the image
    """
    to_middle = np.array([[1, 0, WIDTH / 2], [0, 1, HEIGHT / 2], [0, 0, 1]])
    from_middle = np.array([[1, 0, -world.shape[1] / 2], [0, 1, -world.shape[0] / 2], [0, 0, 1]])
    whole = to_middle @ np.vstack([motion, [0, 0, 1]]) @ from_middle
    return cv2.warpAffine(world, whole[:2], (WIDTH, HEIGHT), flags=interpolation)


def at_time(time: float, *, shift: tuple[float, float] = (0, 0), zoom: float = 0,
            turn: float = 0) -> np.ndarray:
    """Return a motion that goes on evenly; turn in radians a frame, zoom as a share a frame."""
    size = 1 + zoom * time
    sine, cosine = size * np.sin(turn * time), size * np.cos(turn * time)
    return np.array([[cosine, -sine, shift[0] * time], [sine, cosine, shift[1] * time]])


def result_of(mask: np.ndarray, confidence: Optional[np.ndarray] = None) -> StepResult:
    return StepResult(mask, confidence, STATUS)


def frame_of(grey: np.ndarray, number: float) -> Frame:
    return Frame(np.dstack([grey] * 3), round(number * PERIOD_NS))


@pytest.mark.parametrize('frames_ahead', [1, 2])
@pytest.mark.parametrize('motion', [
    {'shift': (5.0, 0.0)}, {'shift': (-3.0, 4.0)}, {'zoom': 0.03}, {'zoom': -0.03},
    {'turn': 0.03}, {'shift': (2.0, 1.0), 'zoom': 0.02, 'turn': 0.01}])
def test_labels_are_those_of_the_later_frame(motion: dict, frames_ahead: int) -> None:
    world, labels = textured(480), labelled(480)
    forecaster = Forecaster()
    for number in (0, 1):
        frame = frame_of(seen(world, at_time(number, **motion), cv2.INTER_LINEAR), number)
        now = seen(labels, at_time(number, **motion), cv2.INTER_NEAREST)
        forecast = forecaster.forecast(frame, result_of(now), frames_ahead * PERIOD_NS / 1e9)
    later = seen(labels, at_time(1 + frames_ahead, **motion), cv2.INTER_NEAREST)
    inner = np.s_[MARGIN:-MARGIN, MARGIN:-MARGIN]
    wrong = np.mean(forecast.mask[inner] != later[inner])
    assert forecast.unmoved is None
    assert forecast.stamp_ns == (1 + frames_ahead) * PERIOD_NS
    assert wrong < 0.02
    assert wrong < 0.35 * np.mean(now[inner] != later[inner])


@pytest.mark.parametrize('ahead', [0.5, 1.0, 2.0])
@pytest.mark.parametrize('linear', [
    [[0.0, 0.0], [0.0, 0.0]], [[0.03, 0.0], [0.0, 0.03]], [[0.0, -0.03], [0.03, 0.0]],
    [[0.02, 0.01], [-0.03, -0.01]]])
def test_sources_are_of_points_that_keep_their_velocity(linear: list, ahead: float) -> None:
    matrix, offset = np.array(linear), np.array([1.5, -0.7])
    grid = np.stack(np.meshgrid(np.arange(40), np.arange(30)), -1) - np.array([20, 15])
    motion = (grid @ matrix.T + offset).astype(np.float32)    # what is at x was at x + motion
    # What is at y now will be at y - ahead * motion(y): solved for y.
    later = np.linalg.solve(np.eye(2) - ahead * matrix,
                            (grid + ahead * offset).reshape(-1, 2).T).T.reshape(grid.shape)
    inner = np.s_[6:-6, 6:-6]    # whose sources are inside
    np.testing.assert_allclose((grid + find_sources(motion, ahead))[inner], later[inner],
                               atol=0.02)


def test_labels_move_without_the_native_kernels_too() -> None:
    with forced('none'):
        test_labels_are_those_of_the_later_frame({'shift': (-3.0, 4.0), 'zoom': 0.01}, 1)


@needs_kernels
@each_level
@pytest.mark.parametrize('size, grid', [((360, 480), (90, 120)), ((49, 65), (13, 17)),
                                        ((16, 16), (4, 4)), ((40, 30), (1, 1))])
def test_the_native_kernel_moves_as_opencv_does(
        level: str, size: tuple[int, int], grid: tuple[int, int],
        monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(7)
    motion = cv2.resize(random.uniform(-1, 1, (2, 2, 2)).astype(np.float32), grid[::-1],
                        interpolation=cv2.INTER_LINEAR).reshape(*grid, 2)
    mask, confidence = random.integers(0, 256, (2, *size)).astype(np.uint8)
    expected = look_ahead(motion, 1.5, mask, confidence)
    monkeypatch.setattr(OpticalFlow, 'displacement', lambda *_, **__: torch.from_numpy(
        np.ascontiguousarray(motion.transpose(2, 0, 1)))[None])
    still = [Frame(np.zeros((*size, 3), np.uint8), number * PERIOD_NS) for number in (0, 1)]
    with forced(level):
        forecaster = Forecaster()
        forecaster.forecast(still[0], result_of(mask), 0.0)
        found = forecaster.forecast(still[1], result_of(mask, confidence), 1.5 * PERIOD_NS / 1e9)
    assert expected[1] is not None and found.confidence is not None
    # OpenCV's weights have five bits: the place may be a pixel beside it.
    assert np.mean(found.mask != expected[0]) < 0.05
    assert np.mean(found.confidence != expected[1]) < 0.05
    assert np.mean(expected[0] != mask) > 0.5


def test_what_stands_still_is_left_as_it_is() -> None:
    image, mask = textured(480)[:HEIGHT, :WIDTH], labelled(480)[:HEIGHT, :WIDTH]
    confidence = np.random.default_rng(0).integers(0, 256, mask.shape).astype(np.uint8)
    forecaster = Forecaster()
    for number in range(3):
        forecast = forecaster.forecast(frame_of(image, number), result_of(mask, confidence), 0.3)
    assert forecast.unmoved is None
    np.testing.assert_array_equal(forecast.mask, mask)
    np.testing.assert_array_equal(forecast.confidence, confidence)


def test_there_is_no_confidence_where_nothing_came_from() -> None:
    # Everything goes to the right by 12 pixels a frame: what comes in at the left was never seen.
    world = textured(480)
    mask, confidence = (np.full((HEIGHT, WIDTH), value, np.uint8) for value in (3, 200))
    forecaster = Forecaster()
    for number in (0, 1):
        image = seen(world, at_time(number, shift=(12.0, 0.0)), cv2.INTER_LINEAR)
        forecast = forecaster.forecast(frame_of(image, number), result_of(mask, confidence), 0.0)
    assert forecast.confidence is not None
    assert (forecast.confidence[MARGIN:-MARGIN, :10] == 0).all()
    assert np.mean(forecast.confidence[MARGIN:-MARGIN, 2 * MARGIN:] == 200) > 0.98
    assert (forecast.mask == 3).all()


def test_there_is_no_confidence_where_something_came_into_view() -> None:
    # A square moves over a background that stands. What it has uncovered, from 80 to 88, was not
    # there before: nothing tells what it does; most likely what is beside it, so up to 96.
    background, square = textured(480)[:HEIGHT, :WIDTH], textured(480, 1)[:60, :60]
    mask, confidence = (np.full((HEIGHT, WIDTH), value, np.uint8) for value in (3, 200))
    forecaster = Forecaster()
    for number in (0, 1):
        image = background.copy()
        image[60:120, 80 + 8 * number:140 + 8 * number] = square
        forecast = forecaster.forecast(frame_of(image, number), result_of(mask, confidence), 0.0)
    assert forecast.confidence is not None
    assert np.mean(forecast.confidence[64:116, 80:96] == 0) > 0.15
    assert np.mean(forecast.confidence[64:116, MARGIN:72] == 0) < 0.01


def test_zero_is_the_median_time_from_frame_to_frame() -> None:
    image, mask = textured(480)[:HEIGHT, :WIDTH], labelled(480)[:HEIGHT, :WIDTH]
    forecaster = Forecaster()
    stamps_ms = np.cumsum([0, 60, 70, 100, 75, 66])
    found = [forecaster.forecast(Frame(np.dstack([image] * 3), 1_000_000 * int(stamp)),
                                 result_of(mask), 0.0).stamp_ns / 1e6 - stamp
             for stamp in stamps_ms]
    assert found == [0, *(np.median(np.diff(stamps_ms)[:count]) for count in range(1, 6))]


def test_labels_of_another_size_than_the_image() -> None:
    world, labels = textured(480), labelled(480)
    forecaster = Forecaster()
    for number in (0, 1):
        motion = at_time(number, shift=(6.0, -4.0))
        now = cv2.resize(seen(labels, motion, cv2.INTER_NEAREST), (2 * WIDTH, HEIGHT // 2),
                         interpolation=cv2.INTER_NEAREST)
        forecast = forecaster.forecast(frame_of(seen(world, motion, cv2.INTER_LINEAR), number),
                                       result_of(now), 0.0)
    expected = np.roll(now, (-2, 12), (0, 1))[MARGIN:-MARGIN, 2 * MARGIN:-2 * MARGIN]
    found = forecast.mask[MARGIN:-MARGIN, 2 * MARGIN:-2 * MARGIN]
    assert np.mean(found != expected) < 0.02


def unmoved(forecast: Forecast, frame: Frame, mask: np.ndarray) -> str:
    """Check that the labels are as they were, and for the time of the frame; return why."""
    np.testing.assert_array_equal(forecast.mask, mask)
    assert forecast.stamp_ns == frame.stamp_ns and forecast.unmoved is not None
    return forecast.unmoved


def test_without_a_frame_before_it_the_mask_is_as_it_is() -> None:
    mask = labelled(480)[:HEIGHT, :WIDTH]
    frames = [frame_of(textured(480)[:HEIGHT, shift:shift + WIDTH], shift / 4)
              for shift in (0, 4, 8, 6)]
    forecaster = Forecaster()

    def look(frame: Frame) -> Forecast:
        return forecaster.forecast(frame, result_of(mask), 0.0)

    assert unmoved(look(frames[0]), frames[0], mask) == 'there is no frame before it'
    assert look(frames[1]).unmoved is None
    forecaster.reset()
    assert unmoved(look(frames[2]), frames[2], mask) == 'there is no frame before it'
    assert 'stamp is not later' in unmoved(look(frames[3]), frames[3], mask)
    small = Frame(np.zeros((64, 64, 3), np.uint8), 10 * PERIOD_NS)
    assert unmoved(look(small), small, mask) == 'there is no frame before it'


@pytest.mark.parametrize('forecast_s', [0.0, 0.2])
def test_slow_cameras_get_no_forecast(forecast_s: float) -> None:
    mask = labelled(480)[:HEIGHT, :WIDTH]
    forecaster = Forecaster()
    for number in range(4):
        image = textured(480)[:HEIGHT, 4 * number:4 * number + WIDTH]
        frame = Frame(np.dstack([image] * 3), number * 600_000_000)
        forecast = forecaster.forecast(frame, result_of(mask), forecast_s)
    assert unmoved(forecast, frame, mask) == 'the frames are 0.60 s apart, more than 0.5 s'


@pytest.mark.parametrize('schedule', ['low_latency', 'every_frame'])
def test_a_pipeline_that_looks_ahead_labels_the_same(tiny_model: pathlib.Path, schedule: str
                                                     ) -> None:
    world = np.dstack([textured(480, seed) for seed in range(3)])
    frames = [Frame(np.ascontiguousarray(world[:96, 4 * number:4 * number + 128]),
                    number * PERIOD_NS) for number in range(6)]
    options = PipelineOptions(model=str(tiny_model), schedule=schedule, forecast_s=0.1)
    with build_pipeline(options, SimulatedExecutor(0.05)) as plain, \
            build_pipeline(options, SimulatedExecutor(0.05)) as pipeline:
        for number, frame in enumerate(frames):
            result = pipeline.step(frame, want_confidence=True)
            mask = result.mask.copy()
            forecast = pipeline.forecast(frame, result)
            np.testing.assert_array_equal(plain.step(frame).mask, mask)
            np.testing.assert_array_equal(result.mask, mask)
            assert forecast.stamp_ns - frame.stamp_ns == (100_000_000 if number else 0)
            assert forecast.confidence is not None and forecast.confidence.shape == mask.shape
        pipeline.change(forecast_s=0.2)
        again = Frame(frames[0].image, 6 * PERIOD_NS)
        assert pipeline.forecast(again, pipeline.step(again)).stamp_ns == (
            again.stamp_ns + 200_000_000)
        with pytest.raises(ConfigurationError, match='forecast_s: 0.6 is not between 0 and 0.5'):
            pipeline.change(forecast_s=0.6)
        pipeline.reset()
        last = Frame(frames[1].image, 7 * PERIOD_NS)
        assert pipeline.forecast(last, pipeline.step(last)).unmoved is not None
