# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the way over DDS runs, and counts what it should."""

import os
import pathlib
import sys

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from lvs_ros.benchmark.dds_camera import check_alive, local_environment  # noqa: E402
from lvs_ros.benchmark.errors import BenchmarkError  # noqa: E402
from lvs_ros.benchmark.over_dds import measure_over_dds  # noqa: E402
from lvs_ros.benchmark.plan import Plan  # noqa: E402
from lvs_ros.errors import ConfigurationError  # noqa: E402
from lvs_ros.options import PipelineOptions  # noqa: E402
from lvs_ros.tool_nodes.processes import NodeProcess  # noqa: E402

CLIP = [np.full((48, 64, 3), 40 * number, np.uint8) for number in range(4)]


def test_measures_the_node_and_the_echo(ros_domain: int, tiny_model: pathlib.Path) -> None:
    environment = dict(os.environ)
    options = PipelineOptions(model=str(tiny_model), threshold=1.0)
    over_dds = measure_over_dds(Plan(options, 'tiny', rate_hz=50.0, frames=8), CLIP,
                                domain_id=ros_domain)
    assert over_dds.sent == 8
    assert 1 <= over_dds.masks == over_dds.latency_ms.count <= 8
    assert 1 <= over_dds.node_ms.count <= over_dds.masks and 1 <= over_dds.echo_ms.count <= 8
    assert 0 < over_dds.node_ms.p50 < over_dds.latency_ms.worst
    assert 0 < over_dds.echo_ms.p50
    assert os.environ == environment


def test_a_process_that_has_ended_is_told_with_its_last_words(tmp_path: pathlib.Path) -> None:
    (tmp_path / 'ends.py').write_text('import sys; sys.exit("no model")', encoding='utf-8')
    with NodeProcess('the node', 'ends', [], environment={'PYTHONPATH': str(tmp_path)}) as process:
        with pytest.raises(BenchmarkError, match=r'node ended with exit code 1(.|\n)*no model'):
            while not check_alive(process):
                pass


def test_without_ros_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules
                 if name.startswith(('lvs_ros.node.', 'lvs_ros.tool_nodes.'))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, 'rclpy', None)
    with pytest.raises(ConfigurationError, match=r'needs ROS 2, and rclpy[.\w]* is not there'):
        measure_over_dds(Plan(PipelineOptions(), 'any', rate_hz=15.0, frames=10), CLIP)


def test_the_users_own_discovery_range_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('ROS_AUTOMATIC_DISCOVERY_RANGE', raising=False)
    with local_environment():
        assert os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
    assert 'ROS_AUTOMATIC_DISCOVERY_RANGE' not in os.environ
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'SUBNET')
    with local_environment():
        assert os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'SUBNET'
