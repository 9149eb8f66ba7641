# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Nodes of the command-line tools: they come and go within a process that has other work, too."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TypeVar

import rclpy
from rclpy.context import Context
from rclpy.exceptions import NameValidationException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from lvs_ros.errors import ConfigurationError

_LAST_DOMAIN_ID = 232    # of the ports that there are

T = TypeVar('T', bound='ToolNode')


class ToolNode:
    """A node with a context of its own, which leaves the signal handlers alone; a context manager.

    :param name: of the node
    :param domain_id: the ROS domain; None = the environment's
    :raises ConfigurationError: for a domain, or the name of a topic, that cannot be
    """

    def __init__(self, name: str, *, domain_id: int | None = None) -> None:
        if domain_id is not None and not 0 <= domain_id <= _LAST_DOMAIN_ID:
            raise ConfigurationError(f'ROS domain {domain_id}: expected 0 to {_LAST_DOMAIN_ID}')
        self._context = Context()
        try:
            rclpy.init(context=self._context, domain_id=domain_id,
                       signal_handler_options=SignalHandlerOptions.NO)
        except (RuntimeError, ValueError) as error:    # of its environment
            raise ConfigurationError('ROS 2 does not start: ' + ' '.join(str(error).split())
                                     ) from error
        with self._closed_on_error():
            self._node = Node(name, context=self._context, enable_rosout=False,
                              start_parameter_services=False)
            self._executor = SingleThreadedExecutor(context=self._context)
            self._executor.add_node(self._node)

    @contextlib.contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        """Surround what sets up the rest of the node."""
        try:
            yield
        except NameValidationException as error:
            self._context.shutdown()
            raise ConfigurationError(' '.join(str(error).split())) from error
        except BaseException:
            self._context.shutdown()
            raise

    def spin(self, duration_s: float) -> None:
        """Let messages in for a while."""
        deadline_s = time.monotonic() + duration_s
        while (remaining_s := deadline_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=remaining_s)

    def close(self) -> None:
        """Take the node down; messages on their way are lost."""
        if self._context.ok():
            self._executor.shutdown()
            self._node.destroy_node()
            self._context.shutdown()

    def __enter__(self: T) -> T:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()
