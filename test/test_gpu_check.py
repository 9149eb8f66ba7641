# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The check of a GPU: what it makes of a benchmark, and that it needs no ROS."""

import copy
import importlib.util
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest
from conftest import REPOSITORY

ABSENT = ('rclpy', 'rosidl_parser', 'sensor_msgs', 'std_msgs', 'vision_msgs', 'cv_bridge',
          'launch', 'ament_index_python', 'av', 'rosbags', 'simplejpeg', 'tensorboard')

BLOCK = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {ABSENT} or name == 'lvs_ros.msg':
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)

sys.meta_path.insert(0, Absent())
"""

USE = """
import glob
import pytest
with pytest.raises(ModuleNotFoundError):
    import rclpy
import torch
from lvs_ros.model import VARIANTS, SegmentationNetwork
import lvs_ros.tools.benchmark, lvs_ros.tools.evaluate, lvs_ros.tools.train
from lvs_ros.benchmark.benchmark import _open
from lvs_ros.benchmark.clip import clip_frames, street_clip
from lvs_ros.benchmark.plan import Plan
from lvs_ros.benchmark.rows import measure_rows
from lvs_ros.options import PipelineOptions
network = SegmentationNetwork(VARIANTS['tiny']('camvid', 11)).eval()
with _open(network, PipelineOptions(), (64, 48), {'schedule': 'low_latency'}) as pipeline:
    for frame in clip_frames(street_clip((64, 48), rate_hz=30.0)[:2], 3, rate_hz=None):
        pipeline.forecast(frame, pipeline.step(frame))
assert pytest.main(['--collect-only', '-q', '-p', 'no:cacheprovider',
                    *glob.glob('test/test_gpu*.py'), 'test/test_graphs.py']) == 0
"""


def test_no_part_of_it_needs_ros(tmp_path: pathlib.Path) -> None:
    (tmp_path / 'sitecustomize.py').write_text(BLOCK)
    done = subprocess.run(
        [sys.executable, '-c', USE], cwd=REPOSITORY, capture_output=True, text=True, timeout=300,
        env=os.environ | {'PYTHONPATH': f'{tmp_path}{os.pathsep}{REPOSITORY}'})
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope='module')
def check() -> Any:
    spec = importlib.util.spec_from_file_location('gpu_check', REPOSITORY / 'scripts/gpu_check.py')
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def row(p50: float, *, p99: float = 0.0, worst: float = 0.0, runs: Any = None, **more: Any
        ) -> dict[str, Any]:
    return {'step_ms': {'p50': p50, 'p99': p99, 'worst': worst}, 'slow_runs_per_s': runs,
            'stage_ms': {}, 'fallbacks': [], **more}


TOLD: dict[str, Any] = {'peak_device_bytes': 5, 'rows': {
    'full': row(8.0, runs=120.0), 'fast_alone': row(3.0),
    'fast_contended': row(3.5, p99=4.0, worst=6.0, runs=96.0)}}


def told(check: Any, benchmark: dict[str, Any]) -> dict[str, Any]:
    found = check.figures(benchmark)
    return {'gpu': 'Some GPU', 'torch': '2', 'commit': 'abc', 'date': '2026-01-01',
            'tests': {'passed': True, 'summary': '9 passed'}, 'val_drive': None,
            'cases': {case.title: found for case in check.CASES}}


def test_figures_are_ratios_of_the_same_run(check: Any) -> None:
    found = check.figures(TOLD)
    assert found['busy_worst_to_full'] == 0.75 and found['throughput'] == 0.8


def test_what_misses_its_limit_is_marked(check: Any) -> None:
    lines = check.report(told(check, TOLD)).splitlines()
    assert max(map(len, lines)) <= 80
    paper = {line[:20].strip(): line[46:57].strip() for line in lines}
    assert paper['full network, p50, m'] == '8.00' and paper['frame alone, p50, ms'] == '3.00'
    assert paper['worst of that / full'] == '0.75 !' and paper['S_h a second beside'] == '0.80 !'


def test_a_slower_way_fails_the_check(check: Any) -> None:
    assert check.fallbacks(told(check, TOLD)) == []
    slower = copy.deepcopy(TOLD)
    slower['rows']['fast_alone']['fallbacks'] = ['no captured graphs (out of memory)']
    assert check.fallbacks(told(check, slower)) == ['no captured graphs (out of memory)']
    assert 'FAILED: no captured graphs (out of memory)' in check.report(told(check, slower))
    missing = told(check, TOLD)
    missing['cases']['lite 480x360'] = {'error': 'out of memory'}
    assert check.fallbacks(missing) == ['out of memory'] and '–' in check.report(missing)
