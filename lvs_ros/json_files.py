# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Figures in JSON files."""

import json
import math
import pathlib
from typing import Any, Mapping


def write_json(path: pathlib.Path, value: Any) -> None:
    """Write a value, see :func:`as_json`."""
    path.write_text(as_json(value), encoding='utf-8')


def as_json(value: Any) -> str:
    """Return a value as the text of a file, indented.

    :param value: of what JSON has; NaN and infinity, which it does not have, become null
    """
    return json.dumps(_without_nan(value), indent=2, allow_nan=False, ensure_ascii=False) + '\n'


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_nan(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
