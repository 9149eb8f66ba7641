# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Nodes as processes, and the echo node as one of them."""

import os
import pathlib
from typing import Iterator

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from node_rig import Peer, image_message, picture, wait_until  # noqa: E402
import ros_domains  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402

from lvs_ros.errors import ConfigurationError  # noqa: E402
from lvs_ros.options import PipelineOptions  # noqa: E402
from lvs_ros.tool_nodes import tool_node  # noqa: E402
from lvs_ros.tool_nodes.processes import (NodeProcess, start_echo_node,  # noqa: E402
                                          start_segmentation_node)
from lvs_ros.tool_nodes.round_trips import RoundTrips, step_ms  # noqa: E402

TIMEOUT_S = 60


@pytest.fixture
def peer(ros_domain: int) -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


def test_the_echo_is_the_image(peer: Peer, ros_domain: int) -> None:
    message = image_message(picture(), stamp_ns=12_000_000_345)
    peer.open_camera(Image, '/parrot/image_raw')
    peer.subscribe(Image, '/parrot/image')
    with start_echo_node('parrot', domain_id=ros_domain) as process:
        peer.wait_for_publishers()
        wait_until(lambda: peer.camera.get_subscription_count() == 1)
        # The other side may learn of the connection later: it is asked until it answers.
        for _ in range(TIMEOUT_S):
            peer.publish(message)
            if peer.wait_until('/parrot/image', lambda _: True, timeout_s=1):
                break
        echo = peer.wait_for('/parrot/image', 1)[0]
    assert process.exit_code == 0, 'it ends in good order'
    assert echo == message


def python(code: str, tmp_path: pathlib.Path, **environment: str) -> NodeProcess:
    (tmp_path / 'some_module.py').write_text(code, encoding='utf-8')
    return NodeProcess('the program', 'some_module', ['a', 'b c'],
                       environment={'PYTHONPATH': str(tmp_path), **environment})


def test_a_process_is_looked_at_from_outside(tmp_path: pathlib.Path) -> None:
    code = ('import os, sys, time\n'
            'block = bytes(range(256)) * (200 << 12)\n'
            'print(sys.argv[1:], os.environ["WORD"], flush=True)\n'
            'while time.process_time() < 0.5: pass\n'
            'print("calm", flush=True)\n'
            'time.sleep(600)\n')
    with python(code, tmp_path, WORD='said') as process:
        wait_until(lambda: process.last_output() != '(nothing)')
        assert process.last_output() == "['a', 'b c'] said"
        assert process.exit_code is None
        process.wait_until_idle(TIMEOUT_S)
        assert process.last_output().endswith('calm')
        assert 200 <= process.memory_bytes() / 2**20 < 300
    assert process.exit_code not in (None, 0), 'interrupted in its sleep'
    assert process.memory_bytes() == 0


def test_a_process_that_will_not_end_is_ended(
        tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('lvs_ros.tool_nodes.processes._STOP_S', 0.1)
    code = ('import os, signal, time\n'
            'signal.signal(signal.SIGINT, signal.SIG_IGN)\n'
            'signal.signal(signal.SIGTERM, signal.SIG_IGN)\n'
            'print(os.getpid(), flush=True)\n'
            'time.sleep(600)\n')
    with python(code, tmp_path) as process:
        wait_until(lambda: process.last_output() != '(nothing)')
        pid = int(process.last_output())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_round_trips_with_the_segmentation_node(
        ros_domain: int, tiny_model: pathlib.Path) -> None:
    options = PipelineOptions(model=str(tiny_model), threshold=1.0, cpu_threads=1,
                              output_size=(32, 24))
    message = image_message(picture())
    with RoundTrips(domain_id=ros_domain) as trips, \
            start_segmentation_node(options, size=(64, 48), domain_id=ros_domain) as process:
        trips.watch_status('/lvs/status')
        node = trips.add(image_topic='/image_raw', answer_topic='/lvs/mask')
        assert trips.spin_until(lambda: node.is_connected, TIMEOUT_S), process.last_output()
        trips.spin(0.5)
        stamps_ns = []
        for _ in range(3):
            stamps_ns.append(node.send(message))
            assert trips.spin_until(lambda: stamps_ns[-1] in node.answered_ns, TIMEOUT_S)
        assert trips.spin_until(lambda: set(stamps_ns) <= trips.statuses.keys(), TIMEOUT_S)
        assert node.sent_ns == stamps_ns == sorted(stamps_ns)
        assert node.latency_ms(stamps_ns[0] + 1) is None
        for stamp_ns in stamps_ns:
            status, latency_ms = trips.statuses[stamp_ns], node.latency_ms(stamp_ns)
            stages_ms = [status.wait_ms, status.input_ms, status.low_ms, status.deviation_ms,
                         status.propagation_ms, status.classify_ms, status.output_ms,
                         status.rest_ms]
            np.testing.assert_allclose(step_ms(status), sum(stages_ms), rtol=1e-6)
            assert latency_ms is not None and step_ms(status) < latency_ms

        assert trips.set_parameter('/lvs', 'threshold', 0.25, TIMEOUT_S) is None
        refusal = trips.set_parameter('/lvs', 'threshold', 2.0, TIMEOUT_S)
        assert refusal is not None and 'threshold' in refusal and '2.0' in refusal
        stamp_ns = node.send(message)
        assert trips.spin_until(lambda: stamp_ns in trips.statuses, TIMEOUT_S)
        assert trips.statuses[stamp_ns].threshold == 0.25
    assert process.exit_code == 0


def test_a_service_that_is_not_there_is_told(ros_domain: int) -> None:
    with RoundTrips(domain_id=ros_domain) as trips:
        refusal = trips.set_parameter('/nobody', 'threshold', 0.25, timeout_s=0.0)
    assert refusal is not None and '/nobody/set_parameters' in refusal


def test_a_free_domain_has_nobody_in_it(
        ros_domain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_node, '_FREE_DOMAIN_IDS', [ros_domain])
    with RoundTrips.in_free_domain() as first:
        assert first.domain_id == ros_domain
        monkeypatch.setattr(tool_node, '_DISCOVERY_S', TIMEOUT_S)
        with pytest.raises(ConfigurationError, match='without other nodes'):
            RoundTrips.in_free_domain()


def test_the_domain_of_a_test_is_empty(ros_domain: int) -> None:
    assert ros_domains.is_empty(ros_domain)
    with RoundTrips(domain_id=ros_domain):
        assert not ros_domains.is_empty(ros_domain)
    assert ros_domains.is_empty(ros_domain)
