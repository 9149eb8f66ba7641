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
    counts = np.zeros(256, np.int64)
    for pool in pools:
        counts += torch.bincount(pool.label_sample.flatten().int(), minlength=256).cpu().numpy()
    return describe_counts(counts, label_set, assumed=assumed)


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
