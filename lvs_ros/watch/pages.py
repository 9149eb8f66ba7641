# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The pages that are open: what they show is asked of the source, and nothing else."""

from __future__ import annotations

from typing import Any, Protocol

from lvs_ros.watch.source import News, Source

_WITH_PICTURE = ('picture', 'shares')


class Page(Protocol):
    """A page that is open in some browser."""

    node: str | None
    """Full name of the node that it shows; None: none, or nobody sees the page."""
    wants_picture: bool
    """Whether it shows the overlay and the classes' shares, too."""

    def send(self, key: str, value: Any) -> None:
        """Let it have something as soon as it can take it."""

    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """End the connection."""


class Pages:
    """All open pages.

    :param source: is asked for the nodes that some page shows.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._open: list[Page] = []
        self._nodes: list[str] = []
        self._known: set[str] = set()    # also those that are gone, but may come back
        self._shown: dict[str, bool] = {}
        self._newest: dict[str, dict[str, Any]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def add(self, page: Page) -> None:
        """Take a page in that was opened."""
        self._open.append(page)
        page.send('nodes', self._nodes)

    def remove(self, page: Page) -> None:
        """Forget a page that was closed."""
        if page in self._open:
            self._open.remove(page)
            self._ask()

    def changed(self, page: Page) -> None:
        """Let a page that shows another node have what is known of it."""
        self._ask()
        page.send('nodes', self._nodes)
        for key, value in self._newest.get(page.node or '', {}).items():
            self._send(page, key, value)

    def tell(self, news: News) -> None:
        """Let the pages that show a node have the news of it."""
        if news.key == 'nodes':
            self._nodes = news.value
            self._known.update(news.value)
            for page in self._open:
                page.send('nodes', self._nodes)
            self._ask()    # a page may have waited for one of them
        elif news.node in self._shown:    # else it was on its way when the page was closed
            if news.key != 'frame':
                self._newest[news.node][news.key] = news.value
            for page in self._open:
                if page.node == news.node:
                    self._send(page, news.key, news.value)

    def close(self) -> None:
        """Close all."""
        for page in self._open:
            page.close(1001, 'lvs watch has ended')

    def _ask(self) -> None:
        shown: dict[str, bool] = {}
        for page in self._open:
            if page.node in self._known:
                shown[page.node] = shown.get(page.node, False) or page.wants_picture
        if shown != self._shown:
            self._newest = {node: self._newest.get(node, {}) for node in shown}
            self._shown = shown
            self._source.show(dict(shown))

    def _send(self, page: Page, key: str, value: Any) -> None:
        if page.wants_picture or key not in _WITH_PICTURE:
            page.send(key, value)
