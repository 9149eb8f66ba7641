# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The options of :mod:`lvs_ros.options` on the command line."""

import argparse
import dataclasses
from typing import Any

from lvs_ros.options import OPTIONS, PipelineOptions

DEVICE = ('device', 'precision', 'inference_size', 'flip_averaging', 'cpu_threads')
"""Where, and how exactly, the networks run."""


def add_options(parser: argparse._ActionsContainer, *names: str) -> None:
    """Declare options by their names: fixed_interval is ``--fixed-interval``."""
    for name in names:
        option = OPTIONS[name]
        settings: dict[str, Any] = {
            'default': option.default, 'help': f'{option.description} (default: %(default)s)'}
        if isinstance(option.default, bool):
            settings['action'] = argparse.BooleanOptionalAction
        elif option.choices:
            settings['choices'] = option.choices
        else:
            settings.update(type=type(option.default), metavar=option.unit.upper() or None)
        parser.add_argument('--' + name.replace('_', '-'), **settings)


def add_slow_delay(parser: argparse.ArgumentParser, *, default: float | None, otherwise: str
                   ) -> None:
    """Declare the simulated duration of S_h.

    :param otherwise: what is the case by default, for the help
    """
    parser.add_argument(
        '--slow-delay-s', metavar='S', type=float, default=default,
        help="simulate S_h: seconds of the stamps' time that it takes, and flip averaging as "
             f'long again; the same masks on every machine (default: {otherwise})')


def pipeline_options(args: argparse.Namespace) -> PipelineOptions:
    """Return the options that were given.

    :raises ConfigurationError: for a value that cannot be.
    """
    names = [field.name for field in dataclasses.fields(PipelineOptions)]
    return PipelineOptions(**{name: getattr(args, name) for name in names if hasattr(args, name)})
