# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Shows what is being measured, and how far it is."""

import contextlib
import sys
from typing import Callable, Iterator

from tqdm import tqdm


@contextlib.contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[], object]]:
    """Show a bar on a terminal, a line elsewhere.

    :return: to be called once for each of the ``total`` things
    """
    if not sys.stderr.isatty():
        print(f'{title} ...', file=sys.stderr, flush=True)
    # Drawn twice a second at most: it must not disturb what is measured.
    with tqdm(desc=title, total=total, disable=None, leave=False, mininterval=0.5,
              bar_format='{desc}: {n_fmt}/{total_fmt} |{bar}| {elapsed}') as bar:
        yield bar.update
