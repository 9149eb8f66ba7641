# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Numbers on the command line that nothing can be computed with."""

import argparse
import fractions
from typing import Any

from lvs_ros.errors import ConfigurationError

_LEAST, _MOST = 1e-9, 1e9
_MOST_OF = {'start_stamp': 2 ** 33, 'origin_ns': 2 ** 63 - 1, 'seed': 2 ** 63 - 1}


def check_magnitudes(args: argparse.Namespace) -> None:
    """Refuse numbers of the options that overflow, or vanish, further on.

    What suits an option better is checked by its tool.

    :raises ConfigurationError: naming the option
    """
    for name, given in vars(args).items():
        most = _MOST_OF.get(name, _MOST)
        values: list[Any] = list(given) if isinstance(given, (list, tuple)) else [given]
        for value in values:
            if not isinstance(value, (int, float, fractions.Fraction)) or value != value:
                continue
            size: Any = abs(value)
            if size > most or 0 < size < _LEAST:
                raise ConfigurationError(
                    f'--{name.replace("_", "-")} {value!s:.40}: expected 0, or a number between '
                    f'{_LEAST:g} and {most:g}')
