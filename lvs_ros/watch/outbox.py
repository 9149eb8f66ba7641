# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What one page has not been sent yet."""

from __future__ import annotations

import collections
from typing import Any

_OF_THE_NODE = ('condition', 'settings', 'shares')
_MOST_FRAMES = 4000    # more than a page shows: a minute at 60 Hz


class Outbox:
    """Keeps of frames all, and of everything else the newest: a slow page misses no key frame."""

    def __init__(self) -> None:
        self._frames: collections.deque[Any] = collections.deque(maxlen=_MOST_FRAMES)
        self._newest: dict[str, Any] = {}
        self._picture: bytes | None = None

    def put(self, key: str, value: Any) -> None:
        """Add something."""
        if key == 'frame':
            self._frames.append(value)
        elif key == 'picture':
            self._picture = value
        else:
            self._newest[key] = value

    def take(self) -> tuple[dict[str, Any], bytes | None]:
        """Return, and forget, what is there: values by key (frames: 'frames'), and a picture."""
        values, picture = self._newest, self._picture
        if self._frames:
            values['frames'] = list(self._frames)
        self._newest = {}
        self.clear_node()
        return values, picture

    def clear_node(self) -> None:
        """Forget what there is of the node, because another one is shown from now on."""
        self._frames.clear()
        self._picture = None
        for key in _OF_THE_NODE:
            self._newest.pop(key, None)
