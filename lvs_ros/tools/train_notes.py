# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a model file says of its training."""

import argparse
import platform
from typing import Optional, Sequence

import torch

from lvs_ros.model import read_notes
from lvs_ros.provenance import provenance
from lvs_ros.tools.option_file import as_command
from lvs_ros.training.best import Best
from lvs_ros.training.class_weights import describe_weights
from lvs_ros.training.data import TrainingData
from lvs_ros.training.loop import Fitted


class Notes:
    """Gathers the notes while the stages are trained.

    :param weights: (classes,), of the cross-entropy
    :param names: of the classes
    """

    def __init__(self, args: argparse.Namespace, data: TrainingData, weights: torch.Tensor,
                 names: Sequence[str]) -> None:
        self._notes = {
            'data': data.description,
            'held_out': data.held_out.description if data.held_out else 'nothing',
            'steps': str(args.steps), 'seed': str(args.seed),
            'class_weights': describe_weights(weights, names),
            **{name: value for name, value in provenance().items() if value is not None},
            'command': as_command(args, args.parser), 'python': platform.python_version()}
        untrained = read_notes(args.init).get('starts_anew') if args.init else None
        if untrained and 'network' not in (args.stages or ['network']):
            self._notes['starts_anew'] = untrained    # an imported backbone is no teacher yet
        self._ended: dict[str, str] = {}

    def end(self, stage: str, fitted: Fitted) -> None:
        """Note the end of a stage."""
        self._ended[stage] = (
            f'{fitted.step} steps, the last weights' if fitted.best is None
            else f'{fitted.best} of {fitted.step}')

    def of(self, stage: str, *, best: Optional[Best] = None, is_last: bool = False
           ) -> dict[str, str]:
        """Return the notes of a model.

        :param best: of a stage that goes on
        :param is_last: it has the last weights of the stage, not the best ones
        """
        ended = dict(self._ended)
        if best is not None:
            ended[stage] = f'{best}, while the training went on'
        if is_last:
            ended[stage] += '; here are the last weights'
        return {**self._notes, 'last_stage': stage,
                'stages': '; '.join(f'{name}: {text}' for name, text in ended.items())}
