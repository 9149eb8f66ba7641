# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Python's warnings where the user of a node or a tool sees them."""

import contextlib
import warnings
from typing import Callable, Iterator


@contextlib.contextmanager
def warnings_passed_to(show: Callable[[str], object]) -> Iterator[None]:
    """Pass the warnings of this block to a function, without file and line.

    :param show: takes the text of a warning
    """
    def show_text(message: object, *_: object, **__: object) -> None:
        show(str(message))

    with warnings.catch_warnings():
        warnings.showwarning = show_text
        yield
