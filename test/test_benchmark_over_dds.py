# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the way over DDS runs, and counts what it should."""

import os
import pathlib
import sys
import types
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from lvs_ros.benchmark.dds_camera import Peer, local_environment  # noqa: E402
from lvs_ros.benchmark.errors import BenchmarkError  # noqa: E402
from lvs_ros.benchmark.over_dds import measure_over_dds  # noqa: E402
from lvs_ros.errors import ConfigurationError  # noqa: E402
from lvs_ros.pipeline import PipelineOptions  # noqa: E402


@pytest.mark.parametrize('rate_hz', [20.0, 200.0])    # the second may be too much for the node
def test_measures_the_node_and_both_echoes(
        ros_domain: int, tiny_model: pathlib.Path, rate_hz: float) -> None:
    environment = dict(os.environ)
    options = PipelineOptions(model=str(tiny_model), threshold=1.0, fast_threads=1)
    over_dds = measure_over_dds(options, width=64, height=48, rate_hz=rate_hz, frames=10,
                                domain_id=ros_domain)
    assert over_dds.sent == 10
    assert over_dds.masks == over_dds.latency_ms.count <= 10
    assert over_dds.node_ms.count >= 10 or over_dds.masks < 10
    assert 1 <= over_dds.echo_ms.count <= 10 and 1 <= over_dds.mask_echo_ms.count <= 10
    for durations in (over_dds.node_ms, over_dds.echo_ms, over_dds.mask_echo_ms,
                      over_dds.latency_ms):
        assert 0 < durations.p50 <= durations.p99 <= durations.worst
    assert over_dds.node_ms.p50 < over_dds.latency_ms.worst
    assert os.environ == environment


def test_a_node_that_does_not_start_is_told(ros_domain: int, tmp_path: pathlib.Path) -> None:
    options = PipelineOptions(model=str(tmp_path / 'missing.safetensors'))
    with pytest.raises(BenchmarkError, match=r'the node ended with exit code 2(.|\n)*missing'):
        measure_over_dds(options, width=64, height=48, rate_hz=20.0, frames=10,
                         domain_id=ros_domain)


def test_without_ros_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith('lvs_ros.node.')]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, 'rclpy', None)
    with pytest.raises(ConfigurationError, match=r'needs ROS 2, and rclpy[.\w]* is not there'):
        measure_over_dds(PipelineOptions(), width=64, height=48, rate_hz=15.0, frames=10)


def test_a_frame_that_waited_for_another_does_not_count() -> None:
    #                  idle, idle, while the second is being processed, after a lost one, idle
    sent_ns = [0, 100, 200, 250, 400, 500]
    answered_ns = {0: 40, 100: 150, 200: 260, 250: 300, 500: 540}
    answerer: Any = types.SimpleNamespace(
        sent_ns=sent_ns, answered_ns=answered_ns,
        latency_ms=lambda stamp_ns: (answered_ns[stamp_ns] - stamp_ns
                                     if stamp_ns in answered_ns else None))
    process: Any = None
    peer = Peer(process, answerer, measured_ns=sent_ns[1:])
    assert peer.unqueued_ns() == [100, 200]
    assert peer.latencies_ms() == [50, 60, 50, 40]


def test_the_users_own_discovery_range_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('ROS_AUTOMATIC_DISCOVERY_RANGE', raising=False)
    with local_environment():
        assert os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
    assert 'ROS_AUTOMATIC_DISCOVERY_RANGE' not in os.environ
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'SUBNET')
    with local_environment():
        assert os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'SUBNET'
