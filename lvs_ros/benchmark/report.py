# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The report of a benchmark: its tables, and its files."""

from __future__ import annotations

import dataclasses
import math
import re
import pathlib
import textwrap

from lvs_ros.benchmark.benchmark import Benchmark
from lvs_ros.benchmark.durations import Durations
from lvs_ros.benchmark.figure import plot_stages
from lvs_ros.benchmark.rows import ALONE, CONTENDED, FULL, ROWS
from lvs_ros.benchmark.stages import SHOWN_ROWS, STAGE_TITLES, stages_of
from lvs_ros.cpus import available_cpus
from lvs_ros.json_files import write_json
from lvs_ros.provenance import provenance
from lvs_ros.tables import WIDTH, Table, text_table

JSON, TEXT, PICTURE = 'benchmark.json', 'benchmark.txt', 'benchmark.png'

_NOT_KNOWN = 'not known'
_PERCENTILES = ['p50', 'p95', 'p99', 'worst', 'count']
_RATIOS = {'p50': ('p50', 'p50'), 'p99': ('p99', 'p99'), 'p99_to_p50': ('p99', 'p50')}


def write_report(folder: pathlib.Path, benchmark: Benchmark) -> None:
    """Write all files.

    :param folder: exists not yet; its parent does
    """
    folder.mkdir()
    plot_stages(folder / named(PICTURE, benchmark), benchmark, title=about(benchmark))
    told = {**dataclasses.asdict(benchmark), 'ratios': ratios(benchmark),
            'cores': available_cpus(), **provenance()}
    write_json(folder / JSON, told)
    (folder / named(TEXT, benchmark)).write_text(as_text(benchmark) + '\n', encoding='utf-8')


def named(file: str, benchmark: Benchmark) -> str:
    """Return the name of a file that people look at: after the model."""
    return re.sub(r'[^\w.-]+', '_', benchmark.plan.model) + f'_{file}'


def as_text(benchmark: Benchmark) -> str:
    """Return the report in plain text, :data:`~lvs_ros.tables.WIDTH` columns wide."""
    return '\n\n'.join([
        textwrap.fill(about(benchmark), WIDTH), textwrap.fill(headline(benchmark), WIDTH),
        *(text_table(table(benchmark)) for table in (frame_table, slow_table, stage_table)),
        *(textwrap.fill(note, WIDTH) for note in notes(benchmark))])


def about(benchmark: Benchmark) -> str:
    """Return what was measured where."""
    size = 'x'.join(map(str, benchmark.size))
    return (f'{benchmark.plan.model} at {size} ({benchmark.images}) on {benchmark.machine} '
            f'({benchmark.precision}; {benchmark.rows[ALONE].execution})')


def headline(benchmark: Benchmark) -> str:
    """Return the most important result, in a sentence."""
    step_ms = benchmark.rows[CONTENDED[0]].step_ms
    to_full, to_flip = (ratios(benchmark)[f'{CONTENDED[0]}_to_{name}'] for name in FULL)
    return (f'While S_h runs at {_rate(benchmark)}, a frame takes {step_ms.p50:.1f} ms (p50), '
            f'{step_ms.p99:.1f} ms (p99): {to_full["p50"]:.2f} and {to_full["p99"]:.2f} of the '
            f'full network, {to_flip["p50"]:.2f} and {to_flip["p99"]:.2f} of that with flip '
            'averaging.')


def ratios(benchmark: Benchmark) -> dict[str, dict[str, float]]:
    """Return the fast track while S_h runs, as shares of the full network and of itself alone."""
    rows = benchmark.rows
    return {f'{name}_to_{baseline}': {
        key: getattr(rows[name].step_ms, own) / getattr(rows[baseline].step_ms, other)
        for key, (own, other) in _RATIOS.items()}
        for name in CONTENDED for baseline in (*FULL, ALONE)}


def frame_table(benchmark: Benchmark) -> Table:
    """Return how long a frame takes: a line a row, and those of the way over DDS."""
    lines = [[_title(benchmark, name), *_cells(row.step_ms)]
             for name, row in benchmark.rows.items()]
    dds = benchmark.over_dds
    if dds is not None:
        lines += [[f'over DDS, {_rate(benchmark)}, {dds.masks} of {dds.sent} masks',
                   *_cells(dds.latency_ms)],
                  ["  of that, all but the pipeline's step", *_cells(dds.node_ms)],
                  ['  echo node, same images', *_cells(dds.echo_ms)]]
    return ['milliseconds a frame', *_PERCENTILES], lines


def slow_table(benchmark: Benchmark) -> Table:
    """Return how long S_h takes, alone and beside the frames, and its throughput."""
    titles = {FULL[0]: 'S_h alone', CONTENDED[0]: f'S_h beside frames, {_rate(benchmark)}',
              CONTENDED[1]: 'S_h beside frames, back to back'}
    return (['milliseconds a run of S_h', *_PERCENTILES, 'runs/s'],
            [[title, *_cells(benchmark.rows[name].slow_ms),
              _number(benchmark.rows[name].slow_runs_per_s)] for name, title in titles.items()])


def stage_table(benchmark: Benchmark) -> Table:
    """Return the median of each stage that the pipeline tells, a line each."""
    rows = benchmark.rows
    titles = [title.format(rate=_rate(benchmark)) for title in SHOWN_ROWS.values()]
    return (['milliseconds a stage, p50', *titles], [
        [STAGE_TITLES.get(stage, stage),
         *(_number(rows[name].stage_ms.get(stage), digits=2) for name in SHOWN_ROWS)]
        for stage in stages_of(rows)])


def notes(benchmark: Benchmark) -> list[str]:
    """Return what a reader of the figures must know, in sentences."""
    found = [
        'Full network: S_l and S_h, its lower and higher part, compute every frame. Fast track: '
        'S_l computes every frame, and the features of S_h are propagated from a key frame, while '
        'S_h runs in the background. While S_h runs: every frame is a key frame and hands S_h a '
        'new job, which is repeated until the next one, without flip averaging. Over DDS: from '
        'the stamp of an image to the arrival of its mask.',
        f'Memory: {benchmark.peak_rss_bytes / 1e6:.0f} MB for the process at its largest, '
        f'{benchmark.peak_device_bytes / 1e6:.0f} MB for tensors on the GPU.']
    found += [f'Slower than it should be: {reason}.' for reason in dict.fromkeys(
        reason for row in benchmark.rows.values() for reason in row.fallbacks)]
    if benchmark.dds_error is not None:
        found.append(f'The way over DDS could not be measured: {benchmark.dds_error}')
    return found


def _title(benchmark: Benchmark, name: str) -> str:
    return ROWS[name].title.format(rate=_rate(benchmark))


def _rate(benchmark: Benchmark) -> str:
    return f'{benchmark.plan.rate_hz:g} Hz'


def _cells(durations: Durations | None) -> list[str]:
    if durations is None:
        return ['–'] * (len(_PERCENTILES) - 1) + ['0']
    return [*(f'{getattr(durations, name):.1f}' for name in _PERCENTILES[:-1]),
            str(durations.count)]


def _number(value: float | None, digits: int = 1) -> str:
    return _NOT_KNOWN if value is None or math.isnan(value) else f'{value:.{digits}f}'
