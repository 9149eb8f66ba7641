# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What follows from the measurements: ratios, shares, and what a reader must know about them."""

from __future__ import annotations

import statistics

from lvs_ros.benchmark.benchmark import Benchmark
from lvs_ros.benchmark.stages import step_ms
from lvs_ros.benchmark.tracks import Track

_MANY_FRAMES = 100
_BUSY_CORES = 0.2
_LARGEST_GAP = 0.15


def once_in_full(benchmark: Benchmark) -> Track:
    """Return the track of frames in full for which S_h runs once, without the mirror image."""
    return benchmark.tracks.get('full_unmirrored', benchmark.tracks['full'])


def ratios(benchmark: Benchmark) -> dict[str, float | None]:
    """Return name and value of each ratio; None = not measured."""
    tracks = benchmark.tracks
    full, alone = tracks['full'].step_ms, tracks['fast_alone'].step_ms
    at_rate, alone_at_rate = tracks['at_rate'].step_ms, tracks['fast_alone_at_rate'].step_ms
    contended = tracks['fast_contended'].step_ms
    back_to_back = tracks['fast_contended_back_to_back'].step_ms
    once = once_in_full(benchmark).step_ms
    dds = benchmark.over_dds
    paper = benchmark.operators[-1]
    return {
        # how steady the computer is by itself
        'fast_alone_p99_to_fast_alone_p50': alone.p99 / alone.p50,
        'fast_contended_p99_to_full_p50': contended.p99 / full.p50,
        'fast_contended_p99_to_full_unmirrored_p50': contended.p99 / once.p50,
        'fast_contended_worst_to_full_p50': contended.worst / full.p50,
        'fast_contended_p99_to_fast_alone_p50': contended.p99 / alone.p50,
        'fast_contended_p99_to_fast_alone_at_rate_p50': contended.p99 / alone_at_rate.p50,
        'fast_contended_back_to_back_p99_to_full_p50': back_to_back.p99 / full.p50,
        'fast_contended_back_to_back_p99_to_fast_alone_p50': back_to_back.p99 / alone.p50,
        'at_rate_p99_to_full_p50': at_rate.p99 / full.p50,
        'at_rate_worst_to_full_p50': at_rate.worst / full.p50,
        'at_rate_worst_to_full_unmirrored_p50': at_rate.worst / once.p50,
        'slow_throughput_cut': throughput_cut(benchmark, 'fast_contended'),
        'slow_throughput_cut_back_to_back': throughput_cut(
            benchmark, 'fast_contended_back_to_back'),
        'node_p50_to_echo_p50': None if dds is None else dds.node_ms.p50 / dds.echo_ms.p50,
        'unfold_einsum_to_convolution': paper.speed_up,
        'convolution_to_memory_bound': paper.ours_ms / paper.bound_ms,
    }


def throughput_cut(benchmark: Benchmark, name: str) -> float | None:
    """Return which part of its throughput S_h loses to the frames of a track.

    None where none has ended, or where it has paused.
    """
    slow_ms = benchmark.slow_ms(name)
    if not slow_ms or benchmark.tracks[name].slow_paused:
        return None
    return 1 - statistics.mean(benchmark.slow_alone_ms) / statistics.mean(slow_ms)


def shares(stages_ms: dict[str, float]) -> dict[str, float]:
    """Return the part that each stage has of them all."""
    total = sum(stages_ms.values())
    return {stage: value / total for stage, value in stages_ms.items()}


def notes(benchmark: Benchmark) -> list[str]:
    """Return what a reader of the figures must know, in sentences."""
    plan, tracks = benchmark.plan, benchmark.tracks
    contended = {'fast_contended': f'at {plan.rate_hz:g} Hz',
                 'fast_contended_back_to_back': 'without a pause'}
    cuts = {how: throughput_cut(benchmark, name) for name, how in contended.items()}
    found = ['While S_h runs: every frame is a key frame and hands it the next job, so that it '
             'never pauses' + _repeated(benchmark) + '.'
             + ''.join(f' The frames take {cut:.0%} of its throughput {how}.'
                       for how, cut in cuts.items() if cut is not None)]
    found += [f'S_h did stand idle at times while the fast track was measured {how}: there the '
              'contention is understated.'
              for name, how in contended.items() if tracks[name].slow_paused]
    fewest = min(track.step_ms.count for track in tracks.values())
    if fewest < _MANY_FRAMES:
        found.append(f'A p99 of {fewest} frames is hardly better known than their worst; --frames '
                     'and --limit-s measure more.')
    found += [f'{what}: frames come faster than they are computed. Here they queue, and the '
              'latency grows; the node would drop some.'
              for what, name in ((f'At {plan.rate_hz:g} Hz while S_h runs', 'fast_contended'),
                                 (f'At {plan.rate_hz:g} Hz with the schedule', 'at_rate'))
              if not tracks[name].kept_up]
    gap = step_ms(benchmark.stages_ms) / tracks['fast_alone'].step_ms.p50 - 1
    if abs(gap) > _LARGEST_GAP:
        found.append(f'The stages come to {abs(gap):.0%} {"more" if gap > 0 else "less"} than the '
                     'step that they are the parts of: they were measured apart, at another '
                     'moment.')
    if plan.random_weights:
        found.append('Random weights: durations are those of the architecture, but its deviation '
                     'means nothing, nor does the number of key frames with the schedule.')
    if benchmark.busy_cores > _BUSY_CORES:
        found.append('Before anything was measured, other programs used '
                     f'{benchmark.busy_cores:.1f} cores: expect longer and less steady times than '
                     'on a quiet computer.')
    return [*found, *benchmark.left_out]


def _repeated(benchmark: Benchmark) -> str:
    """Tell where S_h runs several times a job."""
    times = benchmark.slow_rounds['fast_contended']
    return '' if times == 1 else (
        f' (at {benchmark.plan.rate_hz:g} Hz it runs {times} times a job, since once might be '
        'done before the next frame comes)')
