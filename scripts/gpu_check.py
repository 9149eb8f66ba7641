#!/usr/bin/env python3
# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Everything that a GPU must show, in one call: `make gpu-check`, or this file without ROS.

Runs the tests that need a GPU, measures three networks, and evaluates the shipped one on CamVid's
val drive where that is there. Fails if a test fails or a slower way than intended was taken; a
figure that misses its limit is told.
"""

import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys
import time
from typing import Any, NamedTuple, Optional

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

JSON = 'gpu_check.json'
TESTS = 'test/test_gpu*.py', 'test/test_graphs.py'
KERNELS = 'lvs_ros/backends/cpu'
COMPILE = ['-shared', '-fPIC', '-std=c++17', '-O3', '-fno-math-errno', '-fno-trapping-math',
           '-ffp-contract=fast', '-fopenmp']    # as CMakeLists.txt does
MARCH = {'avx512': ['-march=x86-64-v4'], 'avx2': ['-march=x86-64-v3']}


class Case(NamedTuple):
    """A network at an image size, and what it must reach.

    :param limits: of :func:`figures`, the largest value, or the smallest where it is a throughput
    """

    title: str
    arguments: tuple[str, ...]
    limits: dict[str, float]


FIGURES = {
    'full_p50_ms': 'full network, p50, ms', 'alone_p50_ms': 'frame alone, p50, ms',
    'busy_p99_ms': 'frame while S_h never pauses, 30 Hz, p99, ms',
    'busy_worst_to_full': 'worst of that / full network, p50',
    'throughput': 'S_h a second beside 30 Hz / alone'}
CASES = (
    Case('paper 2048x1024', ('--variant', 'paper', '--size', '2048x1024'), {
        'full_p50_ms': 10.0, 'alone_p50_ms': 3.6, 'busy_p99_ms': 4.5, 'busy_worst_to_full': 0.5,
        'throughput': 0.85}),
    Case('lite 480x360', ('--size', '480x360'), {
        'full_p50_ms': 1.2, 'alone_p50_ms': 0.8, 'busy_p99_ms': 1.2, 'throughput': 0.9}),
    Case('lite 2048x1024', ('--size', '2048x1024', '--inference-size', 'image'), {
        'full_p50_ms': 3.0, 'alone_p50_ms': 1.7, 'busy_p99_ms': 2.2, 'throughput': 0.9}))


def main() -> int:
    """Run the check; return 0 where everything is as intended."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--out', type=pathlib.Path, default=ROOT / 'runs' / 'gpu_check',
                        metavar='DIR', help='for gpu_check.json and the logs (default: '
                                            'runs/gpu_check)')
    parser.add_argument('--frames', type=int, default=150, metavar='N',
                        help='to be measured a row (default: %(default)s)')
    args = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        print('gpu_check: this torch sees no GPU: install a CUDA build of torch, or run it where '
              'there is one', file=sys.stderr)
        return 2
    args.out.mkdir(parents=True, exist_ok=True)
    check = Check(args.out)
    told: dict[str, Any] = {
        'date': datetime.date.today().isoformat(), 'gpu': torch.cuda.get_device_name(),
        'torch': torch.__version__, 'commit': commit(), 'tests': check.tests(),
        'cases': {case.title: check.benchmark(case, args.frames) for case in CASES},
        'val_drive': check.evaluation()}
    (args.out / JSON).write_text(json.dumps(told, indent=1) + '\n', encoding='utf-8')
    print(report(told))
    return 0 if told['tests']['passed'] and not fallbacks(told) else 1


class Check:
    """The parts of the check, each in a process of its own.

    :param folder: for logs and results
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._environment = os.environ | {
            'PYTHONPATH': os.pathsep.join([str(ROOT), str(native_kernels(folder)),
                                           os.environ.get('PYTHONPATH', '')])}

    def tests(self) -> dict[str, Any]:
        """Run the tests that need a GPU."""
        files = sorted(str(path) for pattern in TESTS for path in ROOT.glob(pattern))
        code, text = self._run('tests', [sys.executable, '-m', 'pytest', '-q', '-rs', *files])
        return {'passed': code == 0, 'summary': text.strip().split('\n')[-1]}

    def benchmark(self, case: Case, frames: int) -> dict[str, Any]:
        """Measure a network; its figures, and what was slower than it should be."""
        name = 'benchmark_' + case.title.replace(' ', '_')
        folder = self._folder / name
        code, text = self._run(name, [
            sys.executable, '-m', 'lvs_ros.tools.cli', 'benchmark', *case.arguments, '--no-dds',
            '--rate', '30', '--frames', str(frames), '--out', str(folder), '--force'])
        if code:
            return {'error': text.strip().split('\n')[-1]}
        return figures(json.loads((folder / 'benchmark.json').read_text(encoding='utf-8')))

    def evaluation(self) -> Optional[dict[str, Any]]:
        """Evaluate on the val drive in real time; None where it is not there."""
        named = os.environ.get('LVS_CAMVID')
        drive = (pathlib.Path(named) if named else ROOT.parent / 'shared/data/camvid') / 'val'
        if not drive.is_dir():
            return None
        folder = self._folder / 'evaluation'
        code, text = self._run('evaluation', [
            sys.executable, '-m', 'lvs_ros.tools.cli', 'evaluate', '--camvid', str(drive),
            '--rows', 'per_frame', 'low_latency', '--out', str(folder), '--force'])
        if code:
            return {'error': text.strip().split('\n')[-1]}
        told = json.loads((folder / 'evaluation.json').read_text(encoding='utf-8'))
        return {row['name']: {key: row[key] for key in (
            'miou', 'compute_mean_ms', 'compute_p99_ms', 'compute_worst_ms')}
            for row in told['rows']}

    def _run(self, name: str, command: list[str]) -> tuple[int, str]:
        """Return exit code and output, which is also written to a log."""
        print(f'{name} ...', flush=True)
        start_s = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, env=self._environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        (self._folder / f'{name}.log').write_text(done.stdout, encoding='utf-8')
        print(f'{name}: exit code {done.returncode}, {time.monotonic() - start_s:.0f} s')
        return done.returncode, done.stdout


def native_kernels(folder: pathlib.Path) -> pathlib.Path:
    """Compile the CPU's kernels where colcon has not, for grey images and optical flow.

    :return: a folder to look for the package in
    """
    from lvs_ros.backends.cpu.library import kernels, supported_levels

    place = folder / 'native'
    level = next((level for level in supported_levels() if level in MARCH), 'generic')
    if kernels() is None:
        library = place / KERNELS / 'lib' / level / 'liblvs_kernels.so'
        library.parent.mkdir(parents=True, exist_ok=True)
        (place / 'lvs_ros' / '__init__.py').touch()
        subprocess.run([os.environ.get('CXX', 'c++'), *COMPILE, *MARCH.get(level, []),
                        *map(str, sorted((ROOT / KERNELS / 'kernels').glob('*.cpp'))),
                        '-o', str(library)], check=True)
    return place


def figures(told: dict[str, Any]) -> dict[str, Any]:
    """Return :data:`FIGURES` of a benchmark.json, and what was slower than it should be."""
    rows = told['rows']
    full, alone, busy = rows['full'], rows['fast_alone'], rows['fast_contended']
    return {
        'full_p50_ms': full['step_ms']['p50'], 'alone_p50_ms': alone['step_ms']['p50'],
        'busy_p99_ms': busy['step_ms']['p99'],
        'busy_worst_to_full': busy['step_ms']['worst'] / full['step_ms']['p50'],
        'throughput': (busy['slow_runs_per_s'] or 0.0) / full['slow_runs_per_s'],
        'stage_ms': {name: rows[name]['stage_ms'] for name in ('full', 'fast_alone')},
        'peak_device_bytes': told['peak_device_bytes'],
        'fallbacks': sorted({reason for row in rows.values() for reason in row['fallbacks']})}


def fallbacks(told: dict[str, Any]) -> list[str]:
    """Return what was slower than it should be, and what could not be measured."""
    return sorted({reason for found in told['cases'].values() for reason in (
        found.get('fallbacks', []) or ([found['error']] if 'error' in found else []))})


def report(told: dict[str, Any]) -> str:
    """Return a short table, 80 columns wide."""
    lines = ['', f'{told["gpu"]}, torch {told["torch"]}, {told["commit"]}, {told["date"]}',
             f'tests: {told["tests"]["summary"]}', '',
             f'{"":46}' + ''.join(f'{case.title.split()[0]:>11}' for case in CASES),
             f'{"":46}' + ''.join(f'{case.title.split()[1]:>11}' for case in CASES)]
    for name, title in FIGURES.items():
        cells = [cell(told['cases'][case.title], case.limits, name) for case in CASES]
        lines.append(f'{title:46}' + ''.join(f'{text:>11}' for text in cells))
    lines += ['', '! = misses its limit', *(f'FAILED: {reason}' for reason in fallbacks(told))]
    for name, row in (told['val_drive'] or {}).items():
        lines.append(f'val drive, {name}: ' + ', '.join(
            f'{key} {value:.4g}' for key, value in row.items()) if isinstance(row, dict)
            else f'val drive: {row}')
    return '\n'.join(lines)


def cell(found: dict[str, Any], limits: dict[str, float], name: str) -> str:
    """Return a figure, marked where it misses its limit."""
    if name not in found:
        return '–'
    value, limit = found[name], limits.get(name)
    misses = limit is not None and (value < limit if name == 'throughput' else value > limit)
    return f'{value:.2f}{" !" if misses else ""}'


def commit() -> str:
    """Return the commit of the checkout; 'unknown' where git cannot tell."""
    done = subprocess.run(['git', 'rev-parse', '--short', 'HEAD'], cwd=ROOT, text=True,
                          capture_output=True)
    return done.stdout.strip() or 'unknown'


if __name__ == '__main__':
    sys.exit(main())
