# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Intersection over union, the measure of segmentation.

The functions take confusion matrices with any axes before the last two, so that a thousand
resamples of a drive are measured at once.
"""

import numpy as np


def confusion_of(labels: np.ndarray, mask: np.ndarray, classes: int) -> np.ndarray:
    """Count the (label, mask) pairs of one frame; unlabelled pixels do not count.

    :param labels: (H, W) uint8, the truth; ids from ``classes`` on are left out
    :param mask: (H, W) uint8, what was predicted
    :return: (classes, classes) int64; rows are labels, columns are masks
    :raises ValueError: when the sizes differ, or the mask holds an id that is no class.
    """
    if labels.shape != mask.shape:
        raise ValueError(f'labels {labels.shape} and mask {mask.shape}: expected one shape')
    valid = labels < classes
    predicted = mask[valid].astype(np.int64)
    if predicted.size and predicted.max() >= classes:
        raise ValueError(f'mask holds class id {predicted.max()}; expected 0..{classes - 1}')
    pairs = labels[valid].astype(np.int64) * classes + predicted
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def iou(counts: np.ndarray) -> np.ndarray:
    """TP / (TP + FP + FN) of each class; nan for classes that never occur.

    :param counts: (..., classes, classes) confusion matrices
    :return: (..., classes) float64
    """
    true_positive = np.diagonal(counts, axis1=-2, axis2=-1).astype(np.float64)
    union = counts.sum(-1) + counts.sum(-2) - true_positive
    return true_positive / np.where(union > 0, union, np.nan)


def miou(counts: np.ndarray) -> np.ndarray:
    """Mean over the classes that occur in labels or masks; nan when none does.

    :param counts: (..., classes, classes) confusion matrices
    :return: (...) float64
    """
    values = iou(counts)
    occurring = np.isfinite(values)
    number = occurring.sum(-1)
    return np.where(occurring, values, 0).sum(-1) / np.where(number > 0, number, np.nan)


def pixel_accuracy(counts: np.ndarray) -> np.ndarray:
    """Fraction of labelled pixels whose class is right; nan when there are none.

    :param counts: (..., classes, classes) confusion matrices
    :return: (...) float64
    """
    total = counts.sum((-2, -1))
    right = np.trace(counts, axis1=-2, axis2=-1)
    return right / np.where(total > 0, total, np.nan)


class ConfusionMatrix:
    """The sum over the frames of a run.

    :param classes: number of classes
    """

    def __init__(self, classes: int) -> None:
        self.counts = np.zeros((classes, classes), np.int64)

    def add(self, labels: np.ndarray, mask: np.ndarray) -> None:
        """Count one frame; see :func:`confusion_of`."""
        self.counts += confusion_of(labels, mask, len(self.counts))

    def iou(self) -> np.ndarray:
        """(classes,) float64; see :func:`iou`."""
        return iou(self.counts)

    def miou(self) -> float:
        """See :func:`miou`."""
        return float(miou(self.counts))
