# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The executor of the node: a message that cannot be taken costs one frame, not the process."""

from __future__ import annotations

from typing import Any, Callable

from rclpy.executors import SingleThreadedExecutor


class FrameExecutor(SingleThreadedExecutor):
    """Runs all callbacks in one thread.

    rclpy takes a message before it calls the callback, so an error there (no memory for the
    message) is raised by ``spin``, and leaves the subscription and its callback group marked as
    busy. There is no public place to catch it. Should a version of rclpy take messages
    elsewhere, such an error ends ``spin`` again, and the process with its reason.

    :param on_lost: told the error.
    """

    def __init__(self, on_lost: Callable[[Exception], None], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._on_lost = on_lost

    def _take_subscription(self, sub: Any) -> Any:
        try:
            return super()._take_subscription(sub)
        except Exception as error:
            self._on_lost(error)
            return None
