# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The plot of deviation, threshold and key frames."""

import pathlib
from typing import Optional

import cv2
import numpy as np

from lvs_ros.plots import DeviationSample, plot_deviation

BLUE, RED = (31, 119, 180), (214, 39, 40)
PALE_GREEN = (150, 208, 150)  # (44, 160, 44), half transparent


def samples(deviation: Optional[float]) -> list[DeviationSample]:
    return [DeviationSample(time_s=i / 15, deviation=deviation if i else None, threshold=0.2,
                            key_frame=i == 0) for i in range(30)]


def rows_of(path: pathlib.Path, rgb: tuple[int, int, int]) -> np.ndarray:
    """Return the rows that hold a colour in the left half, where the legend is not."""
    image = cv2.imread(str(path))
    assert image is not None
    width = image.shape[1]
    part = image[:, :width // 2, ::-1].astype(int)
    return np.flatnonzero((np.abs(part - rgb).max(axis=2) < 12).any(axis=1))


def test_a_low_deviation_is_drawn_below_the_threshold(tmp_path: pathlib.Path) -> None:
    plot_deviation(tmp_path / 'low.png', samples(0.05), title='low')

    # rows count from the top
    assert rows_of(tmp_path / 'low.png', BLUE).min() > rows_of(tmp_path / 'low.png', RED).max()
    assert [path.name for path in tmp_path.iterdir()] == ['low.png']


def test_a_schedule_without_deviation_shows_its_key_frames(tmp_path: pathlib.Path) -> None:
    plot_deviation(tmp_path / 'fixed.png', [
        DeviationSample(i / 15, None, 0.2, i % 5 == 0) for i in range(30)])

    assert rows_of(tmp_path / 'fixed.png', BLUE).size == 0
    assert rows_of(tmp_path / 'fixed.png', PALE_GREEN).size > 100


def test_one_frame_is_enough(tmp_path: pathlib.Path) -> None:
    plot_deviation(tmp_path / 'one.png', samples(None)[:1])

    assert cv2.imread(str(tmp_path / 'one.png')) is not None
