# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the labels of a training hold, told before it begins."""

from typing import Sequence

import numpy as np
import torch

from lvs_ros.errors import DatasetError
from lvs_ros.labels import UNLABELLED, LabelSet
from lvs_ros.training.frames import FramePool


def label_statistics(pools: Sequence[FramePool], label_set: LabelSet, *, assumed: bool
                     ) -> list[str]:
    """Count the classes.

    :param pools: with labels of their own
    :param assumed: nobody named the label set
    :return: lines of text
    :raises DatasetError: nothing is labelled.
    """
    return describe_counts(_total(pools), label_set, assumed=assumed)


def class_counts(pool: FramePool) -> np.ndarray:
    """Count the pixels of each class id in each frame of a label sample, (M, 256) int64."""
    return np.stack([torch.bincount(one.flatten().int(), minlength=256).cpu().numpy()
                     for one in pool.label_sample])


def held_out_statistics(pools: Sequence[FramePool], label_set: LabelSet) -> list[str]:
    """Say which classes the held-out part lacks, and what is worth nothing on it.

    :raises DatasetError: nothing in it is labelled.
    """
    known = _total(pools)[:len(label_set)]
    if not known.any():
        raise DatasetError('no pixel of the held-out part is labelled, so nothing can be measured '
                           'on it; hold out other frames')
    absent = [name for name, count in zip(label_set.names, known) if not count]
    most = int(known.argmax())
    lines = [f'held out, for comparison: {label_set.names[most]!r} everywhere would have mIoU '
             f'{100 * known[most] / known.sum() / np.count_nonzero(known):.1f} %']
    return lines + [f'WARNING: the held-out part lacks {len(absent)} of {len(label_set)} classes: '
                    f'{", ".join(absent)}; how well they are labelled is not measured'
                    ] * bool(absent)


def _total(pools: Sequence[FramePool]) -> np.ndarray:
    return np.sum([class_counts(pool).sum(0) for pool in pools], 0)


def describe_counts(counts: np.ndarray, label_set: LabelSet, *, assumed: bool) -> list[str]:
    """Say how often each class occurs, and which never does.

    :param counts: (256,) pixels of each class id
    :raises DatasetError: nothing is labelled.
    """
    known = counts[:len(label_set)]
    if not known.any():
        raise DatasetError(f'no pixel is labelled: all {int(counts.sum())} that were counted mean '
                           f'unlabelled in the label set {label_set.name!r}; name the set of '
                           'these files with --labels')
    width = max(len(name) for name in (*label_set.names, 'unlabelled'))
    rows = [(f'{index:3} {name}', int(known[index])) for index, name in enumerate(label_set.names)]
    lines = [f'pixels counted in the labels, by the classes of {label_set.name!r}:']
    lines += [f'  {name:{width + 4}} {count:12} {100 * count / known.sum():6.2f} %'
              for name, count in rows]
    unlabelled = int(counts[UNLABELLED])
    lines.append(f'  {"    unlabelled":{width + 4}} {unlabelled:12} '
                 f'{100 * unlabelled / counts.sum():6.2f} % of all')
    absent = [name for name, count in zip(label_set.names, known) if not count]
    if absent:
        lines.append(f'WARNING: {len(absent)} of {len(label_set)} classes never occur: '
                     f'{", ".join(absent)}'
                     + (f'; the label set {label_set.name!r} was assumed, name the right one with '
                        '--labels' if assumed else ''))
    return lines
