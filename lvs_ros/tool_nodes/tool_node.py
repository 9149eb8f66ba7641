# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Nodes of the command-line tools, which live for a part of their process only."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import rclpy
from rclpy.context import Context
from rclpy.exceptions import NameValidationException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from lvs_ros.errors import ConfigurationError

_LAST_DOMAIN_ID = 232    # of the ports that there are
# On Linux domains above 101 use ports that the system also hands out to other programs.
_FREE_DOMAIN_IDS = range(1, 102)
_MOST_DOMAINS = 8
_DISCOVERY_S = 1.0
_POLL_S = 0.05

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
        self.domain_id: int = self._context.get_domain_id()
        with self._closed_on_error():
            self._node = Node(name, context=self._context, enable_rosout=False,
                              start_parameter_services=False)
            self._executor = SingleThreadedExecutor(context=self._context)
            self._executor.add_node(self._node)

    @classmethod
    def in_free_domain(cls: type[T], *arguments: Any) -> T:
        """Make one in a ROS domain without other nodes.

        :param arguments: of the class, without the domain
        :raises ConfigurationError: none was found
        """
        for domain_id in random.sample(_FREE_DOMAIN_IDS,
                                       min(_MOST_DOMAINS, len(_FREE_DOMAIN_IDS))):
            node = cls(*arguments, domain_id=domain_id)
            if not node.spin_until(lambda: len(node._node.get_node_names()) > 1, _DISCOVERY_S):
                return node
            node.close()
        raise ConfigurationError('found no ROS domain without other nodes: end some of them, or '
                                 'choose a domain with --domain-id')

    @contextlib.contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        """Shut the context down if the set-up in this block fails."""
        try:
            yield
        except NameValidationException as error:
            self._context.shutdown()
            raise ConfigurationError(' '.join(str(error).split())) from error
        except BaseException:
            self._context.shutdown()
            raise

    def spin(self, duration_s: float) -> None:
        """Process callbacks for a while."""
        self.spin_until(lambda: False, duration_s)

    def spin_until(self, is_done: Callable[[], bool], timeout_s: float) -> bool:
        """Process callbacks until a condition holds.

        :returns: whether it held before the timeout.
        """
        deadline_s = time.monotonic() + timeout_s
        while not is_done():
            remaining_s = deadline_s - time.monotonic()
            # What has come counts, even if this process has slept over the deadline.
            self._executor.spin_once(timeout_sec=min(_POLL_S, max(0.0, remaining_s)))
            if remaining_s <= 0:
                return is_done()
        return True

    def close(self) -> None:
        """Destroy the node; messages on their way are lost."""
        if self._context.ok():
            self._executor.shutdown()
            self._node.destroy_node()
            self._context.shutdown()

    def __enter__(self: T) -> T:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
