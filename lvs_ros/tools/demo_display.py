# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The table that ``lvs demo`` shows while it watches."""

from __future__ import annotations

import math
import sys
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table

from lvs_ros.benchmark.durations import Durations
from lvs_ros.tool_nodes.run_log import RunLog

_RATE_WINDOW_NS = 3_000_000_000
_LINE_EVERY_S = 2.0


def current_figures(log: RunLog) -> dict[str, str]:
    """Return what is shown of a run as it stands, by name."""
    stamps = sorted(log.arrivals)
    if not stamps:
        return {'masks': '0'}
    recent = [stamp for stamp in stamps if stamp > stamps[-1] - _RATE_WINDOW_NS]
    span_s = (recent[-1] - recent[0]) / 1e9
    rate = f'{(len(recent) - 1) / span_s:.1f} Hz' if span_s > 0 else '-'
    latency = Durations.of([log.latency_ms(stamp) for stamp in stamps])
    sent = sum(stamp >= stamps[0] for stamp in log.images)
    figures = {'rate': rate, 'masks': f'{len(stamps)} of {max(sent, len(stamps))} images',
               'latency p50': f'{latency.p50:.1f} ms', 'latency p99': f'{latency.p99:.1f} ms',
               'key frames': str(sum(one.key_frame for one in log.statuses.values()))}
    if log.statuses:
        last = log.statuses[max(log.statuses)]
        deviation = '-' if math.isnan(last.deviation) else f'{last.deviation:.3f}'
        figures['deviation'] = f'{deviation} (threshold {last.threshold:g})'
        figures['S_h'] = '-' if math.isnan(last.slow_track_ms) \
            else f'{last.slow_track_ms:.0f} ms'
    return figures


class DemoDisplay:
    """Shows a run: a table that is redrawn, or lines where the output is no terminal.

    :param log: the run.
    :param duration_s: how long it is watched.
    :param output: where to.
    """

    def __init__(self, log: RunLog, *, duration_s: float, output: TextIO | None = None) -> None:
        self._log = log
        self._duration_s = duration_s
        self._console = Console(file=output or sys.stdout)
        self._live = Live(console=self._console, auto_refresh=False) \
            if self._console.is_terminal else None
        self._next_line_s = 0.0

    def __enter__(self) -> DemoDisplay:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, elapsed_s: float) -> None:
        """Show the figures of now."""
        figures = current_figures(self._log)
        if self._live is not None:
            self._live.update(self._table(figures, elapsed_s), refresh=True)
        elif elapsed_s >= self._next_line_s:
            self._next_line_s = elapsed_s + _LINE_EVERY_S
            text = ', '.join(f'{name} {value}' for name, value in figures.items())
            print(f'{elapsed_s:5.1f} s: {text}', file=self._console.file, flush=True)

    def _table(self, figures: dict[str, str], elapsed_s: float) -> Table:
        table = Table(title=f'lvs_ros: {min(elapsed_s, self._duration_s):.0f} of '
                            f'{self._duration_s:.0f} s', show_header=False, min_width=44)
        table.add_column(style='bold')
        table.add_column(justify='right')
        for name, value in figures.items():
            table.add_row(name, value)
        return table
