# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The synthetic street: the same bytes for the same time, and labels where they must be."""

import hashlib
import subprocess
import sys
from typing import Any

import cv2
import numpy as np
import pytest

from lvs_ros.errors import ConfigurationError
from lvs_ros.street import StreetScene

SKY, BUILDING, POLE, ROAD, PAVEMENT, TREE, SIGN, FENCE, CAR, PEDESTRIAN, BICYCLIST = range(11)
SIZE = {'width': 240, 'height': 180}
# Mean error of neighbouring pixels that blur, grain and averaging may leave.
STILL = 6.0


def digest(image: np.ndarray, labels: np.ndarray) -> str:
    return hashlib.sha256(image.tobytes() + labels.tobytes()).hexdigest()


def standing_time(scene: StreetScene) -> float:
    """Return a time at which the car stands and goes on standing for half a second."""
    for step in range(600):
        time_s = 0.1 * step
        if scene.motion.pose(time_s).standing and scene.motion.pose(time_s + 0.5).standing:
            return time_s
    raise AssertionError('the car never stood within a minute')


def driving_time(scene: StreetScene) -> float:
    """Return a time at which the car drives at its full speed."""
    return max((0.5 * step for step in range(80)), key=lambda t: scene.motion.pose(t).speed)


def test_same_bytes_in_any_order_and_from_another_scene() -> None:
    times = [0.0, 3.2, 61.7, -5.0]
    scene = StreetScene(seed=5, **SIZE)
    forward = [digest(*scene.render(time_s)) for time_s in times]
    backward = [digest(*scene.render(time_s)) for time_s in reversed(times)]
    assert forward == backward[::-1]
    assert digest(*StreetScene(seed=5, **SIZE).render(61.7)) == forward[2]
    assert len(set(forward)) == len(times)


def test_same_bytes_in_another_process() -> None:
    code = ('import hashlib; from lvs_ros.street import StreetScene; '
            'i, l = StreetScene(seed=2, width=96, height=64).render(12.5); '
            'print(hashlib.sha256(i.tobytes() + l.tobytes()).hexdigest())')
    there = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                           check=True).stdout.strip()
    assert there == digest(*StreetScene(seed=2, width=96, height=64).render(12.5))


def test_seeds_differ() -> None:
    frames = {digest(*StreetScene(seed=seed, **SIZE).render(1.0)) for seed in range(4)}
    assert len(frames) == 4


@pytest.mark.parametrize('width, height', [(64, 48), (65, 49), (480, 360), (640, 480),
                                           (1024, 64), (2048, 1024)])
def test_sizes(width: int, height: int) -> None:
    image, labels = StreetScene(seed=1, width=width, height=height).render(4.0)
    assert image.shape == (height, width, 3) and image.dtype == np.uint8
    assert labels.shape == (height, width) and labels.dtype == np.uint8
    assert image.flags.c_contiguous and labels.flags.c_contiguous
    assert labels.max() <= BICYCLIST
    assert image.std() > 10


@pytest.mark.parametrize('size', [(63, 48), (64, 47), (2049, 1024), (2048, 1025), (0, 0),
                                  (-480, 360), (480.0, 360), ('480', 360), (True, 360)])
def test_bad_sizes_are_refused(size: tuple[Any, Any]) -> None:
    with pytest.raises(ConfigurationError, match='expected an integer from'):
        StreetScene(width=size[0], height=size[1])


@pytest.mark.parametrize('time_s', [float('nan'), float('inf'), -float('inf')])
def test_bad_times_are_refused(time_s: float) -> None:
    with pytest.raises(ConfigurationError, match='finite'):
        StreetScene(**SIZE).render(time_s)


def test_every_class_appears_and_nothing_else() -> None:
    share = np.zeros(256)
    for seed in range(3):
        scene = StreetScene(seed=seed, **SIZE)
        for time_s in range(0, 60, 5):
            share += np.bincount(scene.render(float(time_s))[1].ravel(), minlength=256)
    share /= share.sum()
    assert share[BICYCLIST + 1:].sum() == 0.0
    assert (share[:BICYCLIST + 1] > 0.0004).all(), share[:BICYCLIST + 1]
    # The order of the shares in CamVid's training split: road, building, sky before all others.
    assert set(np.argsort(share)[-3:]) == {SKY, BUILDING, ROAD}


def horizon_row(scene: StreetScene, time_s: float) -> float:
    """Work the horizon out by hand: 0.47 of the height, moved by the pitch times the focal length.

    The focal length is 0.95 widths (a horizontal view of 2 atan(0.5 / 0.95) = 55.5 degrees).
    """
    return 0.47 * scene.height - 0.95 * scene.width * scene.motion.pose(time_s).pitch


@pytest.mark.parametrize('seed', range(4))
def test_sky_is_above_the_horizon_and_ground_below(seed: int) -> None:
    scene = StreetScene(seed=seed, **SIZE)
    for time_s in (0.0, 9.0, 31.0):
        labels = scene.render(time_s)[1]
        horizon = horizon_row(scene, time_s)
        assert not (labels[int(np.ceil(horizon)) + 2:] == SKY).any()
        ground = (labels == ROAD) | (labels == PAVEMENT)
        assert not ground[:int(horizon) - 1].any()


def kerb_column(scene: StreetScene, time_s: float, row: int, side: int) -> float:
    """Project the kerb, 4.95 m beside the middle of the road, by hand.

    A row sees the ground at z = focal * height / (row - horizon).
    """
    pose, focal = scene.motion.pose(time_s), 0.95 * scene.width
    z = focal * pose.height / (row - horizon_row(scene, time_s))
    (here, slope), there = scene.motion.centre(pose.s), scene.motion.centre(pose.s + z)[0]
    lateral = side * 4.95 - pose.x + there - here - slope * z
    return 0.5 * scene.width + focal * (lateral / z - pose.yaw)


def test_kerbs_are_where_the_projection_says() -> None:
    agreeing = swapped = 0
    for seed in range(6):
        scene = StreetScene(seed=seed, width=480, height=360)
        for time_s in (0.0, 7.0, 14.0, 30.0):
            labels = scene.render(time_s)[1]
            for row in range(205, 330, 5):
                for side in (-1, 1):
                    column = kerb_column(scene, time_s, row, side)
                    if not 8 < column < 472:
                        continue
                    outside = labels[row, int(column + 4 * side)]
                    inside = labels[row, int(column - 4 * side)]
                    agreeing += outside == PAVEMENT and inside == ROAD
                    swapped += outside == ROAD or inside == PAVEMENT
    # Cars hide many kerbs, and side roads interrupt them.
    assert agreeing > 100
    assert swapped < 0.06 * agreeing


def test_standing_still_changes_little_and_driving_much() -> None:
    scene = StreetScene(seed=0, **SIZE)
    still, moving = standing_time(scene), driving_time(scene)

    def changed(time_s: float) -> tuple[float, float]:
        (first, labels), (second, later) = scene.render(time_s), scene.render(time_s + 0.2)
        ground = (labels == ROAD) & (later == ROAD)
        error = np.abs(first.astype(int) - second)[ground].mean()
        return float(error), float((labels != later).mean())

    still_error, still_labels = changed(still)
    moving_error, moving_labels = changed(moving)
    assert still_error < STILL < 255 and still_error < moving_error
    assert still_labels < 0.5 * moving_labels
    assert moving_labels > 0.01


def test_the_car_drives_on_and_never_back() -> None:
    scene = StreetScene(seed=7, **SIZE)
    way = [scene.motion.pose(0.25 * step).s for step in range(-100, 1200)]
    steps = np.diff(way)
    assert (steps >= 0.0).all() and steps.max() <= 0.25 * 12.0
    # The speed has no jumps: 4 m/s2 is firm braking.
    speeds = np.array([scene.motion.pose(0.05 * step).speed for step in range(3000)])
    assert np.abs(np.diff(speeds)).max() <= 0.05 * 4.0
    # Speed is the derivative of the way.
    for time_s in (1.0, 20.0, 27.3, 33.0):
        slope = (scene.motion.pose(time_s + 1e-4).s - scene.motion.pose(time_s - 1e-4).s) / 2e-4
        assert slope == pytest.approx(scene.motion.pose(time_s).speed, abs=1e-3)


def test_labels_are_those_of_the_image() -> None:
    """Sky pixels are bright and road pixels grey, also one pixel from the border of the class."""
    scene = StreetScene(seed=1, width=480, height=360)
    image, labels = scene.render(5.0)
    for name, low, high in ((SKY, 170, 256), (ROAD, 20, 140)):
        inner = cv2.erode((labels == name).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        values = np.median(image[inner], axis=0)
        assert (values >= low).all() and (values < high).all()
    # Gradients gather on the borders of classes.
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    slope = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    sky = (labels == SKY).astype(np.uint8)
    border = cv2.dilate(sky, np.ones((3, 3), np.uint8)) - cv2.erode(sky, np.ones((3, 3), np.uint8))
    assert slope[border > 0].mean() > 3.0 * slope[sky > 0].mean()


def test_an_hour_later_the_street_goes_on() -> None:
    image, labels = StreetScene(seed=4, **SIZE).render(3600.0 * 24)
    assert {SKY, ROAD, BUILDING} <= set(np.unique(labels).tolist())
    assert image.std() > 10
