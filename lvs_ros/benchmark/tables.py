# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The tables of a benchmark, for a terminal and in Markdown."""

from __future__ import annotations

from typing import Callable, Sequence

from lvs_ros.benchmark.benchmark import Benchmark
from lvs_ros.benchmark.durations import Durations
from lvs_ros.benchmark.findings import notes, once_in_full, ratios, shares
from lvs_ros.benchmark.operators import OperatorTimes
from lvs_ros.benchmark.stages import OF_MESSAGES, STAGES, step_ms
from lvs_ros.tables import Table, markdown_table, text_table

_RATIOS = {
    'fast_alone_p99_to_fast_alone_p50': 'p99 alone, to the p50 alone',
    'fast_contended_p99_to_full_p50': "p99 while S_h runs, to the full network's p50",
    'fast_contended_p99_to_full_unmirrored_p50':
        "p99 while S_h runs, to the full network's p50 without mirror images",
    'fast_contended_worst_to_full_p50': "worst while S_h runs, to the full network's p50",
    'fast_contended_p99_to_fast_alone_p50': 'p99 while S_h runs, to the p50 alone',
    'fast_contended_p99_to_fast_alone_at_rate_p50':
        'p99 while S_h runs, to the p50 alone at the rate',
    'fast_contended_back_to_back_p99_to_full_p50':
        "p99 while S_h runs, no pause, to the full network's p50",
    'fast_contended_back_to_back_p99_to_fast_alone_p50':
        'p99 while S_h runs, no pause, to the p50 alone',
    'at_rate_worst_to_full_p50': "worst with its schedule, to the full network's p50",
    'at_rate_worst_to_full_unmirrored_p50':
        "worst with its schedule, to the full network's p50 without mirror images",
    'node_p50_to_echo_p50': "the node's part of the way over DDS, to a bare echo",
}


def headline(benchmark: Benchmark) -> str:
    """Return what was measured where, on a line."""
    plan, threads = benchmark.plan, benchmark.threads
    width, height = benchmark.clip.size
    model = plan.model + (', random weights' if plan.random_weights else '')
    mirror = ', with mirror images' if plan.options.flip_averaging else ''
    sharing = '' if not threads.fast else (
        f', {_threads(threads.fast)} for a frame and {_threads(threads.slow)} for S_h '
        + ('in turns' if threads.in_turns else 'side by side'))
    how = f'{benchmark.precision}{mirror}{sharing}'
    return f'{model} at {width}x{height} on {benchmark.device} ({how})'


def terminal_tables(benchmark: Benchmark) -> str:
    """Return all tables."""
    parts = [text_table(table(benchmark)) for table in TABLES.values()]
    return '\n\n'.join(parts)


def markdown(benchmark: Benchmark, picture: str) -> str:
    """Return benchmark.md.

    :param picture: file name
    """
    parts = [f'# {headline(benchmark)}']
    for title, table in TABLES.items():
        parts += [f'## {title}', markdown_table(table(benchmark))]
    parts.append('\n'.join(f'- {note}' for note in notes(benchmark)))
    parts.append(f'![Stages of a frame]({picture})')
    return '\n\n'.join(parts) + '\n'


def track_table(benchmark: Benchmark) -> Table:
    """Return a line a track."""
    tracks, rate = benchmark.tracks, f'{benchmark.plan.rate_hz:g} Hz'
    dds = benchmark.over_dds
    lines: list[tuple[str, Durations | None]] = [
        ('full network', tracks['full'].step_ms),
        *((('full network without mirror images', tracks['full_unmirrored'].step_ms),)
          if 'full_unmirrored' in tracks else ()),
        ('fast track alone', tracks['fast_alone'].step_ms),
        (f'fast track alone, {rate}', tracks['fast_alone_at_rate'].step_ms),
        (f'fast track while S_h runs, {rate}', tracks['fast_contended'].step_ms),
        ('fast track while S_h runs, no pause', tracks['fast_contended_back_to_back'].step_ms),
        (f'fast track with its schedule, {rate}', tracks['at_rate'].step_ms),
        ('  from arrival to mask', tracks['at_rate'].latency_ms),
        ('S_h alone', Durations.of(benchmark.slow_alone_ms)),
        (f'S_h beside the frames, {rate}', durations_or_none(
            benchmark.slow_ms('fast_contended'))),
        ('S_h beside the frames, no pause', durations_or_none(
            benchmark.slow_ms('fast_contended_back_to_back')))]
    if dds is not None:
        lines += [(f'over DDS, stamp to mask, {rate}', dds.latency_ms),
                  ("  less the pipeline's own time", dds.node_ms),
                  ('  bare echo of the same image', dds.echo_ms),
                  ('  bare answer as large as a mask', dds.mask_echo_ms)]
    return (['milliseconds', 'p50', 'p99', 'worst', 'count'],
            [[title, *_cells(durations)] for title, durations in lines])


def stage_table(benchmark: Benchmark) -> Table:
    """Return a line a stage of the fast track."""
    stages_ms = benchmark.stages_ms
    share = shares(stages_ms)
    lines = [[STAGES[stage], f'{value:.2f}', f'{share[stage]:.1%}']
             for stage, value in stages_ms.items()]
    total = sum(stages_ms.values())
    lines.append(['all', f'{total:.2f}', '100.0%'])
    if any(stage in stages_ms for stage in OF_MESSAGES):
        step = step_ms(stages_ms)
        lines.append(["of them the pipeline's step", f'{step:.2f}', f'{step / total:.1%}'])
    return ['stage of the fast track, alone', 'ms', 'share'], lines


def full_table(benchmark: Benchmark) -> Table:
    """Return a line a stage of the full network."""
    stages_ms = full_stages(benchmark)
    share = shares(stages_ms)
    return (['stage of the full network', 'ms', 'share'],
            [[FULL_STAGES[stage], f'{value:.2f}', f'{share[stage]:.1%}']
             for stage, value in stages_ms.items()])


def ratio_table(benchmark: Benchmark) -> Table:
    """Return a line a ratio."""
    found = ratios(benchmark)
    return (['ratio', ''], [[title, f'{value:.2f}'] for title, value in (
        (title, found[name]) for name, title in _RATIOS.items()) if value is not None])


def operator_table(benchmark: Benchmark) -> Table:
    """Return a line a shape of the spatially variant convolution."""
    return (['spatially variant convolution', 'ms', 'unfold + einsum', 'times', 'bound, ms',
             'of it'],
            [[_shape(times), f'{times.ours_ms:.2f}', _number(times.unfold_einsum_ms, '.0f'),
              _number(times.speed_up, '.1f'), f'{times.bound_ms:.2f}',
              f'{times.bound_fraction:.0%}'] for times in benchmark.operators])


def memory_table(benchmark: Benchmark) -> Table:
    """Return a line a kind of memory."""
    memory = benchmark.memory
    lines = [('the process at its largest', memory.peak_rss_bytes),
             ('tensors on the GPU at their most', memory.peak_device_bytes),
             ('weights', memory.weights_bytes)]
    return (['memory', 'MB'], [[title, f'{value / 1e6:.0f}'] for title, value in lines
                               if value is not None]
            + [['bandwidth of a large copy, GB/s', f'{benchmark.bandwidth / 1e9:.1f}']])


FULL_STAGES = {'input': 'array to tensor', 'low': 'S_l', 'propagation': 'S_h',
               'classify': 'classifier', 'output': 'upsampling + argmax'}
"""Stages of a frame that is computed in full, as the pipeline names them, with their titles."""

TABLES: dict[str, Callable[[Benchmark], Table]] = {
    'A frame': track_table, 'Ratios': ratio_table, 'The fast track': stage_table,
    'The full network': full_table, 'The operator': operator_table, 'Memory': memory_table}
"""Title and content of each table, in order."""


def full_stages(benchmark: Benchmark) -> dict[str, float]:
    """Return the stages of a frame in full, S_h running once, milliseconds."""
    found = once_in_full(benchmark).stages_ms
    return {stage: found[stage] for stage in FULL_STAGES if stage in found}


def durations_or_none(durations_ms: Sequence[float]) -> Durations | None:
    """Summarise durations, where there are any."""
    return Durations.of(durations_ms) if durations_ms else None


def _cells(durations: Durations | None) -> list[str]:
    if durations is None:
        return ['–', '–', '–', '0']
    return [*(f'{value:.1f}' for value in (durations.p50, durations.p99, durations.worst)),
            str(durations.count)]


def _shape(times: OperatorTimes) -> str:
    side = times.kernel_size
    return f'C={times.channels}, {times.height}x{times.width}, {side}x{side}, {times.dtype}'


def _number(value: float | None, how: str) -> str:
    return '–' if value is None else format(value, how)


def _threads(count: int) -> str:
    return '1 thread' if count == 1 else f'{count} threads'
