# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the stages minimise."""

import torch
from torch.nn import functional

from lvs_ros.labels import UNLABELLED


def class_weights(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Weights that lift rare classes: 1 / sqrt(frequency), mean 1, within 0.4..4.

    :param labels: any shape, uint8
    :return: (classes,) float32
    """
    counts = torch.bincount(labels.flatten().long(), minlength=UNLABELLED + 1)[:classes].float()
    weights = (counts / counts.sum().clamp(min=1)).clamp(min=1e-4).rsqrt()
    return (weights / weights.mean()).clamp(0.4, 4.0)


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor
                  ) -> torch.Tensor:
    """Weighted cross-entropy at the size of the labels; unlabelled pixels do not count.

    :param logits: (B, classes, H, W); labels: (B, H, W) int64
    """
    loss = functional.cross_entropy(logits.float(), labels, weight=weights,
                                    ignore_index=UNLABELLED, reduction='sum')
    # A table in place of a choice of pixels, for which a GPU would be waited for.
    of_labels = functional.pad(weights, (0, UNLABELLED + 1 - len(weights)))
    return loss / of_labels[labels].sum().clamp(min=1)


def soft_jaccard(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """One minus the mean soft intersection over union of the classes in the batch."""
    classes = logits.shape[1]
    known = (labels != UNLABELLED)[:, None]
    truth = labels[:, None] == torch.arange(classes, device=labels.device)[:, None, None]
    count = truth.sum((0, 2, 3)).float()
    chance = logits.float().softmax(1) * known
    both = (chance * truth).sum((0, 2, 3))
    union = chance.sum((0, 2, 3)) + count - both
    present = count > 0
    return 1 - ((both + 1) / (union + 1) * present).sum() / present.sum()


def distillation(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean Kullback-Leibler divergence of the student's labels from the teacher's.

    :param student: logits (B, classes, h, w); teacher: logits of the same shape
    """
    wanted = teacher.float().log_softmax(1)
    given = student.float().log_softmax(1)
    return (wanted.exp() * (wanted - given)).sum(1).mean()


def feature_distance(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Squared distance of features, relative to the teacher's mean square."""
    wanted = teacher.float()
    return (student.float() - wanted).square().mean() / wanted.square().mean().clamp(min=1e-6)
