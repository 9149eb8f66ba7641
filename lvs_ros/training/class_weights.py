# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The weights of the classes in the cross-entropy, as a user asks for them."""

import math
from typing import Sequence

import numpy as np
import torch

from lvs_ros.errors import ConfigurationError
from lvs_ros.training.losses import median_frequency_weights, root_frequency_weights

BY_FREQUENCY = ('sqrt-frequency', 'median-frequency', 'none')
DEFAULT = BY_FREQUENCY[0]
_EXPECTED = (f'expected {", ".join(BY_FREQUENCY)}, or weights of 0 or more: one number for each '
             'class in the order of the label set, or some as name=weight, the others have 1')


def chosen_weights(words: Sequence[str], names: Sequence[str], counts: np.ndarray
                   ) -> torch.Tensor:
    """Return the weights, (classes,) float32.

    :param words: one of :data:`BY_FREQUENCY`, or numbers, or name=weight
    :param names: of the classes
    :param counts: (frames, 256) pixels of each class id in each frame
    :raises ConfigurationError: for words that mean no weights.
    """
    known = torch.from_numpy(counts[:, :len(names)])
    if list(words) == ['sqrt-frequency']:
        return root_frequency_weights(known.sum(0))
    if list(words) == ['median-frequency']:
        return median_frequency_weights(known)
    if list(words) == ['none']:
        return torch.ones(len(names))
    named = [word.rpartition('=') for word in words]
    values = [_number(value) for _, _, value in named]
    if not any(name for name, _, _ in named):
        if len(values) != len(names):
            raise ConfigurationError(f'--class-weights has {len(values)} numbers, the label set '
                                     f'{len(names)} classes; {_EXPECTED}')
        weights = dict(zip(names, values))
    else:
        weights = dict.fromkeys(names, 1.0)
        for (name, _, word), value in zip(named, values):
            if name not in names:
                raise ConfigurationError(f'--class-weights: {name or word!r} is none of the '
                                         f'classes {", ".join(names)}; {_EXPECTED}')
            weights[name] = value
    if not any(weights.values()):
        raise ConfigurationError(f'--class-weights are all 0; {_EXPECTED}')
    return torch.tensor([weights[name] for name in names])


def describe_weights(weights: torch.Tensor, names: Sequence[str]) -> str:
    """Return the weights as text."""
    return ', '.join(f'{name} {weight:.2f}' for name, weight in zip(names, weights.tolist()))


def _number(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ConfigurationError(f'--class-weights: {word!r} is no weight; {_EXPECTED}')
    return value
