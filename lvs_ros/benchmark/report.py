# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The files of a benchmark."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import pathlib
from typing import Any

import torch

from lvs_ros import __version__
from lvs_ros.benchmark.benchmark import Benchmark
from lvs_ros.benchmark.durations import Durations
from lvs_ros.benchmark.figure import plot_stages
from lvs_ros.benchmark.findings import notes, ratios, shares
from lvs_ros.benchmark.operators import OperatorTimes
from lvs_ros.benchmark.tables import durations_or_none, full_stages, headline, markdown
from lvs_ros.cpus import available_cpus
from lvs_ros.model import find_model

JSON, MARKDOWN, PICTURE = 'benchmark.json', 'benchmark.md', 'benchmark.png'


def write_report(folder: pathlib.Path, benchmark: Benchmark) -> None:
    """Write all files.

    :param folder: exists not yet; its parent does
    """
    folder.mkdir()
    plot_stages(folder / PICTURE, benchmark, title=headline(benchmark))
    (folder / JSON).write_text(
        json.dumps(_rounded(as_dict(benchmark)), indent=2, allow_nan=False, ensure_ascii=False)
        + '\n', encoding='utf-8')
    (folder / MARKDOWN).write_text(markdown(benchmark, PICTURE), encoding='utf-8')


def as_dict(benchmark: Benchmark) -> dict[str, Any]:
    """Return what stands in benchmark.json."""
    tracks, dds = benchmark.tracks, benchmark.over_dds
    at_rate = tracks['at_rate']
    return {
        **_about(benchmark),
        **{f'{name}_ms': _durations(track.step_ms) for name, track in tracks.items()},
        'at_rate_latency_ms': _durations(at_rate.latency_ms),
        'slow_alone_ms': _durations(Durations.of(benchmark.slow_alone_ms)),
        **{f'slow_{what}_ms': _durations(durations_or_none(benchmark.slow_ms(name)))
           for what, name in (('contended', 'fast_contended'),
                              ('contended_back_to_back', 'fast_contended_back_to_back'),
                              ('at_rate', 'at_rate'))},
        'node_ms': _durations(None if dds is None else dds.node_ms),
        'echo_ms': _durations(None if dds is None else dds.echo_ms),
        'mask_echo_ms': _durations(None if dds is None else dds.mask_echo_ms),
        'dds_latency_ms': _durations(None if dds is None else dds.latency_ms),
        'dds_images_sent': None if dds is None else dds.sent,
        'dds_masks': None if dds is None else dds.masks,
        'stages_ms': benchmark.stages_ms,
        'stages_share': shares(benchmark.stages_ms),
        'full_stages_ms': full_stages(benchmark),
        'step_stages_ms': {name: track.stages_ms for name, track in tracks.items()},
        'at_rate': {'key_frame_share': at_rate.key_frames / at_rate.step_ms.count,
                    'keeps_up': at_rate.kept_up},
        'contention': {name: {'keeps_up': tracks[name].kept_up,
                              'slow_paused': tracks[name].slow_paused,
                              'slow_runs_per_job': rounds}
                       for name, rounds in benchmark.slow_rounds.items()},
        'operators': {'copy_bytes_per_s': benchmark.bandwidth,
                      'spatially_variant_convolution': [
                          _operator(times) for times in benchmark.operators]},
        'memory': dataclasses.asdict(benchmark.memory),
        'ratios': ratios(benchmark),
        'notes': notes(benchmark),
    }


def _about(benchmark: Benchmark) -> dict[str, Any]:
    plan, options = benchmark.plan, benchmark.plan.options
    return {
        'model': plan.model,
        'model_sha256': None if plan.random_weights else hashlib.sha256(
            find_model(options.model).read_bytes()).hexdigest(),
        'random_weights': plan.random_weights,
        'size': list(benchmark.clip.size),
        'inference_size': options.inference_size,
        'images': benchmark.clip.name,
        'device': benchmark.device,
        'cores': available_cpus(),
        'precision': benchmark.precision,
        'mirror': options.flip_averaging,
        'threads': dataclasses.asdict(benchmark.threads),
        'rate_hz': plan.rate_hz,
        'threshold': options.threshold,
        'max_key_age_frames': options.max_key_age_frames,
        'cores_in_use_before': benchmark.busy_cores,
        'date': datetime.date.today().isoformat(),
        'lvs_ros': __version__,
        'torch': torch.__version__,
    }


def _durations(durations: Durations | None) -> dict[str, float] | None:
    return None if durations is None else dataclasses.asdict(durations)


def _operator(times: OperatorTimes) -> dict[str, Any]:
    return {**dataclasses.asdict(times), 'speed_up': times.speed_up,
            'bound_fraction': times.bound_fraction}


def _rounded(value: Any) -> Any:
    """Round to a tenth of a microsecond: more digits tell nothing."""
    if isinstance(value, dict):
        return {name: _rounded(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(entry) for entry in value]
    return round(value, 4) if isinstance(value, float) else value
