# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs health``: what it says of a node, and its exit code."""

import threading
from typing import Iterator

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402

from lvs_ros.node.diagnostic_messages import diagnostic_array  # noqa: E402
from lvs_ros.node.diagnostics import Level  # noqa: E402
from lvs_ros.tool_nodes.tool_node import ToolNode  # noqa: E402
from lvs_ros.tools.cli import main  # noqa: E402


class Speaker(ToolNode):
    """Publishes the diagnostics of a node again and again, in a thread of its own."""

    def __init__(self, name: str, level: Level, message: str) -> None:
        super().__init__('speaker')
        stamp = self._node.get_clock().now().to_msg()
        other = DiagnosticStatus(name='battery: charge', level=DiagnosticStatus.ERROR)
        self._message = diagnostic_array(stamp, node=name, level=level, message=message, values={})
        self._message.status.insert(0, other)
        self._publisher = self._node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._speak)
        self._thread.start()

    def _speak(self) -> None:
        while not self._done.wait(0.02):
            self._publisher.publish(self._message)

    def close(self) -> None:
        self._done.set()
        self._thread.join()
        super().close()


@pytest.fixture(autouse=True)
def domain(ros_domain: int) -> Iterator[None]:
    yield


@pytest.mark.parametrize('level, code', [(Level.OK, 0), (Level.WARN, 0), (Level.STALE, 0),
                                         (Level.ERROR, 1)])
def test_only_an_error_is_not_healthy(level: Level, code: int,
                                      capsys: pytest.CaptureFixture[str]) -> None:
    with Speaker('/front/lvs', level, 'so it is'):
        assert main(['health', '--node', '/front/lvs']) == code
    assert capsys.readouterr().out == f'/front/lvs: {level.name}: so it is\n'


def test_a_node_that_says_nothing_is_not_healthy(capsys: pytest.CaptureFixture[str]) -> None:
    with Speaker('/rear/lvs', Level.OK, 'another node'):
        assert main(['health', '--node', '/front/lvs', '--timeout', '0.3']) == 1
    assert 'no diagnostics' in capsys.readouterr().out
