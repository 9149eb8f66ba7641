# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Intersection over union, the measure of segmentation."""

import numpy as np


class ConfusionMatrix:
    """Counts (label, mask) pairs of pixels; unlabelled pixels do not count.

    :param classes: number of classes
    """

    def __init__(self, classes: int) -> None:
        self.counts = np.zeros((classes, classes), np.int64)

    def add(self, labels: np.ndarray, mask: np.ndarray) -> None:
        """Count one frame.

        :param labels: (H, W) uint8, the truth; ids from ``classes`` on are left out
        :param mask: (H, W) uint8, what was predicted
        :raises ValueError: when the sizes differ, or the mask holds an id that is no class.
        """
        classes = len(self.counts)
        if labels.shape != mask.shape:
            raise ValueError(f'labels {labels.shape} and mask {mask.shape}: expected one shape')
        valid = labels < classes
        predicted = mask[valid].astype(np.int64)
        if predicted.size and predicted.max() >= classes:
            raise ValueError(f'mask holds class id {predicted.max()}; expected 0..{classes - 1}')
        pairs = labels[valid].astype(np.int64) * classes + predicted
        self.counts += np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)

    def iou(self) -> np.ndarray:
        """(classes,) float64: TP / (TP + FP + FN); nan for classes that never occur."""
        true_positive = np.diag(self.counts).astype(np.float64)
        union = self.counts.sum(0) + self.counts.sum(1) - true_positive
        with np.errstate(invalid='ignore'):
            return true_positive / np.where(union > 0, union, np.nan)

    def miou(self) -> float:
        """Mean over the classes that occur in labels or masks; nan when none does."""
        iou = self.iou()
        return float(np.nanmean(iou)) if np.isfinite(iou).any() else float('nan')

    def pixel_accuracy(self) -> float:
        """Fraction of labelled pixels whose class is right."""
        return float(np.diag(self.counts).sum() / max(1, self.counts.sum()))
