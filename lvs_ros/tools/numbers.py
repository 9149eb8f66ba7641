# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Checks of numbers on the command line."""

import argparse
import fractions
import math
from typing import Any

from lvs_ros.errors import ConfigurationError

_LEAST, _MOST, _MOST_INTEGER = 1e-9, 1e10, 2 ** 63 - 1


def check_magnitudes(args: argparse.Namespace) -> None:
    """Refuse numbers that overflow, or become 0, in what is computed from them.

    :raises ConfigurationError: naming the option
    """
    for name, given in vars(args).items():
        values: list[Any] = list(given) if isinstance(given, (list, tuple)) else [given]
        for value in values:
            if not isinstance(value, (int, float, fractions.Fraction)):
                continue
            size: Any = abs(value)
            most = _MOST_INTEGER if isinstance(value, int) else _MOST
            if size > most or 0 < size < _LEAST:
                raise ConfigurationError(
                    f'{_option(name)} {value!s:.40}: expected 0, or a number between '
                    f'{_LEAST:g} and {most:g}')


def check_positive(args: argparse.Namespace, *names: str) -> None:
    """Check that options, where they are given, are finite and above 0.

    :param names: as in ``args``
    :raises ConfigurationError: naming the option
    """
    for name in names:
        value = getattr(args, name)
        if value is not None and not 0 < value < math.inf:
            raise ConfigurationError(f'{_option(name)} {value}: expected a number above 0')


def _option(name: str) -> str:
    return '--' + name.replace('_', '-')
