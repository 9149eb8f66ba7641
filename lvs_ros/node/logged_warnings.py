# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Python's warnings in the log of a node, where its user looks."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def warnings_logged(logger: Any) -> Iterator[None]:
    """Log what is warned of within the block.

    :param logger: of the node.
    """
    def log(message: object, *_: object, **__: object) -> None:
        logger.warning(str(message))

    with warnings.catch_warnings():
        warnings.showwarning = log
        yield
