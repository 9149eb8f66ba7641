# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where the pages' data come from: running nodes, or a test's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, Protocol


class News(NamedTuple):
    """Something that a page may show.

    ======== ========================================================================
    key      value
    ======== ========================================================================
    nodes    names of the nodes there are, sorted; ``node`` is ''
    frame    what the node did with an image, see :func:`~lvs_ros.watch.values.frame_value`
    condition level, message, latencies, drops: :func:`~lvs_ros.watch.values.condition_value`
    settings threshold, schedule and classes, :func:`~lvs_ros.watch.values.settings_value`
    shares   share of the pixels of each class, 0..1, in the order of the classes
    picture  the newest overlay, the bytes of a JPEG file
    ======== ========================================================================

    :param node: full name of the node that it is about.
    :param key: says what ``value`` is.
    :param value: ready for JSON, except a picture.
    """

    node: str
    key: str
    value: Any


class Source(Protocol):
    """Nodes to look at. All is called in the event loop of the server, and tells there."""

    def run(self, tell: Callable[[News], None]) -> Awaitable[None]:
        """Tell what there is until :meth:`end`; nothing of a node that is not asked for."""

    def end(self) -> None:
        """Let :meth:`run` return."""

    def show(self, nodes: Mapping[str, bool]) -> None:
        """Tell of these nodes from now on, and of no others.

        :param nodes: name of each, and whether pictures and shares are wanted, too.
        """

    async def set_threshold(self, node: str, threshold: float) -> str | None:
        """Set a node's threshold.

        :returns: why it was not set, for people; None if it was.
        """
