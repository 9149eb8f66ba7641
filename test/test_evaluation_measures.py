# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Bootstrap, rank correlation and curves, against values by hand, loops and known laws."""

import dataclasses

import numpy as np
import pytest

from lvs_ros.evaluation.bootstrap import resample, resampled_miou, standard_error
from lvs_ros.evaluation.deviation import ranks_of, spearman
from lvs_ros.evaluation.metrics import ConfusionMatrix, confusion_of, iou, miou, pixel_accuracy
from lvs_ros.evaluation.summary import RowSummary
from lvs_ros.evaluation.sweep import CurvePoint, at_equal_rate

ROW = RowSummary(
    name='', title='', settings={}, frames=0, labelled_frames=0, miou=0, miou_se=None,
    streaming_miou=0, streaming_miou_se=None, overtaken=0, difference=0, difference_se=None,
    pixel_accuracy=0, agreement=0, agreement_miou=0,
    key_rate=0, mean_ms=0, p99_ms=0, worst_ms=0, compute_mean_ms=0, compute_p99_ms=0,
    compute_worst_ms=0, first_ms=0, threads=1, iou={})


def random_confusions(frames: int, classes: int = 4) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 100, (frames, classes, classes))


def test_measures_of_many_matrices_are_those_of_each() -> None:
    counts = random_confusions(6)
    counts[2, 1] = counts[2, :, 1] = 0        # a class that does not occur
    for index, one in enumerate(counts):
        matrix = ConfusionMatrix(4)
        matrix.counts += one
        np.testing.assert_allclose(iou(counts)[index], matrix.iou())
        assert miou(counts)[index] == pytest.approx(np.nanmean(matrix.iou()))
        assert pixel_accuracy(counts)[index] == pytest.approx(np.trace(one) / one.sum())
    assert np.isnan(iou(counts)[2, 1])
    assert np.isnan(pixel_accuracy(np.zeros((3, 3))))


def test_a_confusion_matrix_counts_pixels() -> None:
    random = np.random.default_rng(0)
    labels, mask = random.integers(0, 5, (2, 20, 30)).astype(np.uint8)
    mask[mask > 2] = 0
    expected = np.zeros((3, 3), int)
    for label, predicted in zip(labels.flat, mask.flat):
        if label < 3:
            expected[label, predicted] += 1
    assert (confusion_of(labels, mask, 3) == expected).all()


def test_blocks_are_consecutive_frames_of_one_drive() -> None:
    weights = resample([7, 3, 20], 5, count=300, seed=1)
    assert weights is not None and weights.shape == (300, 30)
    assert (weights.sum(1) == 30).all()
    first, short = weights[:, :7], weights[:, 7:10]
    # a drive that is shorter than a block comes as a whole; only a resample's end is cut
    unequal = short[(short != short[:, :1]).any(1)]
    assert (np.diff(unequal, axis=1) <= 0).all()
    assert len(unequal) < 100
    # frame 0 is in one of the three blocks of its drive, frame 2 in all of them
    assert first[:, 2].mean() > 2 * first[:, 0].mean()


def test_resamples_repeat_with_their_seed() -> None:
    first, again, other = (resample([30], 5, count=5, seed=seed) for seed in (3, 3, 4))
    assert first is not None and again is not None and other is not None
    assert (first == again).all() and (first != other).any()


@pytest.mark.parametrize('lengths', [[10], [14], [4, 4]])
def test_too_short_drives_tell_no_error(lengths: list[int]) -> None:
    assert resample(lengths, 5) is None
    assert standard_error(None) is None


def test_the_miou_of_a_resample_is_that_of_its_frames() -> None:
    confusions = random_confusions(12)
    weights = resample([12], 3, count=4, seed=0)
    assert weights is not None
    for row, value in zip(weights, resampled_miou(weights, confusions)):
        drawn = [confusions[index] for index in range(12) for _ in range(int(row[index]))]
        assert len(drawn) == 12
        assert value == pytest.approx(float(miou(sum(drawn, np.zeros((4, 4))))))


def test_the_error_of_a_mean_of_independent_frames_is_the_known_one() -> None:
    # Two classes of which only the first occurs in the labels: with n frames of equal size, mIoU
    # is half of the mean share that is right, so its error is std / (2 sqrt(n)).
    right = np.random.default_rng(2).integers(300, 900, 200)
    confusions = np.zeros((200, 2, 2), int)
    confusions[:, 0, 0], confusions[:, 0, 1] = right, 1000 - right
    weights = resample([200], 1, count=1000, seed=0)
    assert weights is not None
    error = standard_error(resampled_miou(weights, confusions))
    assert error == pytest.approx(np.std(right) / 1000 / 2 / np.sqrt(200), rel=0.08)


def test_blocks_find_the_error_of_frames_that_are_alike() -> None:
    # Each independent value stays for ten frames: one by one the error seems sqrt(10) too small.
    right = np.repeat(np.random.default_rng(2).integers(300, 900, 40), 10)
    confusions = np.zeros((400, 2, 2), int)
    confusions[:, 0, 0], confusions[:, 0, 1] = right, 1000 - right
    errors = {}
    for block in (1, 40):
        weights = resample([400], block, count=1000, seed=0)
        assert weights is not None
        error = standard_error(resampled_miou(weights, confusions))
        assert error is not None
        errors[block] = error
    assert errors[40] > 2 * errors[1]


def test_ranks_of_ties_are_averaged() -> None:
    assert ranks_of([0.3, 0.1, 0.3, 0.2, 0.3]).tolist() == [4, 1, 4, 2, 4]
    assert ranks_of([7, 7]).tolist() == [1.5, 1.5]


def test_spearman_by_hand() -> None:
    # Without ties: 1 - 6 sum d^2 / (n (n^2 - 1)); ranks 1 2 3 4 5 and 2 1 4 3 5: sum d^2 = 4.
    assert spearman([10, 20, 30, 40, 50], [0.2, 0.1, 0.4, 0.3, 0.9]) == pytest.approx(0.8)
    # With ties: ranks 1 2.5 2.5 4 and 1 2 3.5 3.5; deviations -1.5 0 0 1.5 and -1.5 -0.5 1 1;
    # 3.75 / sqrt(4.5 * 4.5)
    assert spearman([1, 2, 2, 3], [1, 5, 9, 9]) == pytest.approx(3.75 / 4.5)
    assert spearman([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)


def test_spearman_of_what_does_not_vary_is_undefined() -> None:
    assert np.isnan(spearman([1, 1, 1], [1, 2, 3]))
    assert np.isnan(spearman([1], [2])) and np.isnan(spearman([], []))


def point(key_rate: float, miou_value: float, resampled: list[float] | None = None) -> CurvePoint:
    return CurvePoint(0.1, dataclasses.replace(ROW, key_rate=key_rate, miou=miou_value),
                      None if resampled is None else np.array(resampled))


def test_the_fixed_curve_is_linear_between_its_points() -> None:
    fixed = [point(1.0, 0.8, [0.8, 0.9]), point(0.5, 0.7, [0.7, 0.6]), point(0.2, 0.5, [0.5, 0.5])]
    found = at_equal_rate(point(0.3, 0.65, [0.6, 0.8]), fixed)
    # a third of the way from 0.2 to 0.5
    assert found.fixed_miou == pytest.approx(0.5 + 0.2 / 3)
    assert found.difference == pytest.approx(0.15 - 0.2 / 3)
    # differences of the resamples: 0.6 - (0.5 + 0.2 / 3) and 0.8 - (0.5 + 0.1 / 3)
    assert found.difference_se == pytest.approx((0.2 + 0.1 / 3) / np.sqrt(2))


def test_nothing_is_said_beyond_the_fixed_curve() -> None:
    found = at_equal_rate(point(0.1, 0.6), [point(1.0, 0.8), point(0.2, 0.5)])
    assert found.fixed_miou is None and found.difference is None


def test_every_frame_a_key_frame_compares_with_the_per_frame_network() -> None:
    found = at_equal_rate(point(1.0, 0.8), [point(1.0, 0.8), point(0.5, 0.7)])
    assert found.difference == pytest.approx(0)
