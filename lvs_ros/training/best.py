# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is measured on the held-out part, and the best weights by it."""

import dataclasses
import math
from typing import Any, Mapping

import torch


NAMES = {'miou': 'mIoU', 'agreement': 'agreement with the full network',
         'deviation_error': 'mean error of the deviation'}
"""What people call the measures that are shares."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """The result of one validation.

    :param measure: name of the measure that the best weights are chosen by
    :param values: by name; that of ``measure`` among them
    :param classes: IoU of each class, by name, 0..1; NaN for those that do not occur
    :param falls: less of it is better
    """

    measure: str
    values: Mapping[str, float]
    classes: Mapping[str, float] = dataclasses.field(default_factory=dict)
    falls: bool = False

    @property
    def value(self) -> float:
        """Of the measure that the best weights are chosen by."""
        return self.values[self.measure]

    def __str__(self) -> str:
        words = [in_words(name, value) for name, value in self.values.items()]
        classes = [f'{name} {100 * value:.0f}' for name, value in self.classes.items()
                   if math.isfinite(value)]
        return ', '.join(words) + (f'; IoU of {", ".join(classes)}' if classes else '')

    @property
    def score(self) -> tuple[float, float]:
        """More is better; of equal measures, the smaller loss. What is not a number is worst."""
        others = [value for name, value in self.values.items() if name != self.measure]
        return tuple(
            value if math.isfinite(value) else -math.inf
            for value in (-self.value if self.falls else self.value, -sum(others))
        )  # type: ignore[return-value]


def in_words(name: str, value: float) -> str:
    """Return a measure for people: shares in percent."""
    if name in NAMES:
        return f'{NAMES[name]} {100 * value:.1f} %'
    return f'{name} {value:#.3g}'


@dataclasses.dataclass
class Best:
    """The best weights of a stage so far.

    :param values: what was measured of them, by name; empty before the first validation
    :param measure: the one that they were chosen by
    :param step: after which they were
    :param score: see :attr:`Measured.score`
    :param since: validations since then
    :param validated_step: after which the last validation was; -1 before the first
    :param validated_progress: of the stage, 0..1, at that time
    :param validated_at_s: seconds of the stage that had been spent when it ended
    :param validation_s: how long it took
    :param weights: weights and buffers by name, on the CPU
    """

    values: dict[str, float] = dataclasses.field(default_factory=dict)
    measure: str = ''
    step: int = 0
    score: tuple[float, float] = (-math.inf, -math.inf)
    since: int = 0
    validated_step: int = -1
    validated_progress: float = 0.0
    validated_at_s: float = 0.0
    validation_s: float = 0.0
    weights: dict[str, torch.Tensor] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self.score = (float(self.score[0]), float(self.score[1]))    # of JSON, it is a list

    def offer(self, measured: Measured, step: int, weights: Mapping[str, torch.Tensor]) -> bool:
        """Take weights that are better than those before; tell whether they were."""
        if self.weights and not measured.score > self.score:
            self.since += 1
            return False
        self.values, self.measure = dict(measured.values), measured.measure
        self.step, self.score, self.since = step, measured.score, 0
        self.weights = {name: value.detach().cpu().clone() for name, value in weights.items()}
        return True

    def __str__(self) -> str:
        return f'{in_words(self.measure, self.values[self.measure])} at step {self.step}'

    def described(self) -> dict[str, Any]:
        """Return all but the weights, for JSON."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)
                if field.name != 'weights'}
