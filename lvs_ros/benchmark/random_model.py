# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A model that nobody has trained: the durations of an architecture need no weights."""

import contextlib
import pathlib
import tempfile
from typing import Iterator

import torch

from lvs_ros.benchmark.progress import progress
from lvs_ros.labels import load_label_set
from lvs_ros.model import VARIANTS, SegmentationNetwork, save_network

_LABEL_SETS = {'paper': 'cityscapes'}    # as in the paper; camvid for the others


@contextlib.contextmanager
def random_model(variant: str) -> Iterator[str]:
    """Make a model file with random weights, and delete it in the end.

    :param variant: one of :data:`~lvs_ros.model.config.VARIANTS`
    :return: its path, for :class:`~lvs_ros.options.PipelineOptions`
    """
    labels = load_label_set(_LABEL_SETS.get(variant, 'camvid'))
    with tempfile.TemporaryDirectory(prefix='lvs_benchmark_') as folder:
        path = pathlib.Path(folder) / f'{variant}.safetensors'
        with progress(f'making a {variant} network of random weights', 1):
            torch.manual_seed(0)
            save_network(SegmentationNetwork(VARIANTS[variant](
                labels.name, len(labels)).with_labels(labels)), path)
        yield str(path)
