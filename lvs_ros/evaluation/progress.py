# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""How far an evaluation is, over all of its runs: a bar in a terminal, lines anywhere else."""

import sys
import time
from typing import Optional

from tqdm import tqdm

LINE_INTERVAL_S = 60.0


class Progress:
    """Counts frames. What is left takes as long a frame as those that are done.

    :param total: frames of all runs; 0 = say nothing
    """

    def __init__(self, total: int = 0) -> None:
        self._total, self._done = total, 0
        self._what = ''
        self._start_s = self._last_line_s = time.monotonic()
        self._bar: Optional[tqdm] = None
        if total and sys.stderr.isatty():
            # Once a second at most: it must not disturb what is timed.
            self._bar = tqdm(total=total, mininterval=1.0, smoothing=0, leave=False,
                             dynamic_ncols=True, bar_format='{desc}: {percentage:3.0f}% |{bar}| '
                                                            '{elapsed}, {remaining} left')

    @property
    def text(self) -> str:
        """What is being done, and how long the rest will take."""
        elapsed_s = time.monotonic() - self._start_s
        words = [self._what, f'{100 * self._done / max(1, self._total):.0f} % of all runs',
                 tqdm.format_interval(elapsed_s)]
        if self._done:
            left_s = elapsed_s / self._done * max(0, self._total - self._done)
            words.append(f'about {tqdm.format_interval(left_s)} left')
        return ', '.join(words)

    def begin(self, what: str) -> None:
        """Tell which run begins."""
        self._what = what
        if self._bar is not None:
            self._bar.set_description_str(what)
        else:
            self._line()

    def update(self, frames: int = 1) -> None:
        """Tell that frames are done."""
        self._done += frames
        if self._bar is not None:
            self._bar.update(frames)
        elif time.monotonic() - self._last_line_s >= LINE_INTERVAL_S:
            self._line()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()

    def _line(self) -> None:
        self._last_line_s = time.monotonic()
        if self._total:
            print(self.text, file=sys.stderr, flush=True)
