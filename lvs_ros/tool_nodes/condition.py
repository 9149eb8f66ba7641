# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a segmentation node says of itself on /diagnostics."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from lvs_ros.tool_nodes.tool_node import ToolNode

_NAMES = {DiagnosticStatus.OK: 'OK', DiagnosticStatus.WARN: 'WARN',
          DiagnosticStatus.ERROR: 'ERROR', DiagnosticStatus.STALE: 'STALE'}


class ConditionListener(ToolNode):
    """Waits for the diagnostics of one node; a context manager.

    :param node: its full name.
    """

    def __init__(self, node: str) -> None:
        self._name = node.strip('/')
        self._status: DiagnosticStatus | None = None
        super().__init__('lvs_health')
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.hardware_id == self._name and status.name.endswith(': segmentation'):
                self._status = status

    def wait(self, timeout_s: float) -> tuple[bool, str]:
        """Return whether the node lives and reports no ERROR, and what it says.

        A node without images (STALE) is healthy: to start it again does not mend its camera.
        """
        if not self.spin_until(lambda: self._status is not None, timeout_s):
            return False, f'/{self._name}: no diagnostics for {timeout_s:g} s'
        status = self._status
        assert status is not None
        return (status.level != DiagnosticStatus.ERROR,
                f'/{self._name}: {_NAMES.get(status.level, status.level)}: {status.message}')
