# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the stages minimise."""

import torch
from torch.nn import functional

from lvs_ros.labels import UNLABELLED


PROPAGATED_SHARE = 0.5
"""Of the cross-entropy of propagated frames, beside what they learn from the full network."""


def root_frequency_weights(counts: torch.Tensor) -> torch.Tensor:
    """Weights that lift rare classes: 1 / sqrt(frequency), mean 1, within 0.4..4.

    :param counts: (classes,) pixels of each class
    :return: (classes,) float32
    """
    counts = counts.float()
    weights = (counts / counts.sum().clamp(min=1)).clamp(min=1e-4).rsqrt()
    return (weights / weights.mean()).clamp(0.4, 4.0)


def median_frequency_weights(counts: torch.Tensor) -> torch.Tensor:
    """Weights by median frequency balancing (Eigen and Fergus, ICCV 2015, section 6.3.2).

    The frequency of a class is its share of the labelled pixels of the frames that it is in, and
    its weight the median of the frequencies of all classes over its own.

    :param counts: (frames, classes) pixels of each class in each frame
    :return: (classes,) float32; 1 for a class that never occurs
    """
    counts = counts.double()
    of_frames = (counts > 0).double() * counts.sum(1, keepdim=True)
    frequency = counts.sum(0) / of_frames.sum(0)    # nan where a class never occurs
    return (frequency.nanquantile(0.5) / frequency).nan_to_num(nan=1.0).float()


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
