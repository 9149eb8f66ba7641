# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Counting the frames that a publisher sent and this node never saw."""

from __future__ import annotations

from typing import Any, Hashable, Mapping

# A larger gap is not a loss: the publisher numbers in another way.
_LARGEST_GAP = 1_000_000
# A camera that is restarted again and again has a new identity each time.
_MOST_PUBLISHERS = 32


class DropCounter:
    """Count lost messages from the gaps in the publishers' sequence numbers.

    The middleware numbers the messages of each publisher one by one. With a queue of one message,
    those that arrive while a frame is being processed are replaced by the newest, and those that
    get lost on the way never arrive: both show as a gap. What was sent before the first message
    that arrived is not counted, nor what was lost after the last one.

    A publisher that starts again numbers from one again: a number that does not grow begins a new
    count. Where the middleware gives no numbers nothing can be counted, and :attr:`exact` says so.
    """

    def __init__(self) -> None:
        self._last: dict[Hashable, int] = {}
        self.lost = 0
        self.exact = True

    def update(self, sequence_number: int | None, publisher: Hashable = None) -> int:
        """Count a message that arrived.

        :param sequence_number: the publisher's number of the message; None if not known.
        :param publisher: what tells the publishers of the topic apart; None if not known.
        :returns: how many messages of this publisher were lost just before this one.
        """
        if sequence_number is None:
            self.exact = False
            return 0
        last = self._last.pop(publisher, None)
        self._last[publisher] = sequence_number  # now the latest in order
        if len(self._last) > _MOST_PUBLISHERS:
            del self._last[next(iter(self._last))]
        if last is None or not last < sequence_number <= last + _LARGEST_GAP:
            return 0
        lost = sequence_number - last - 1
        self.lost += lost
        return lost

    def failed_to_arrive(self) -> None:
        """Count a message that arrived but could not be taken: it was not lost on the way."""
        for publisher in list(self._last)[-1:]:
            self._last[publisher] += 1

    def update_from_info(self, info: Mapping[str, Any]) -> int:
        """Do what :meth:`update` does, with rclpy's message info.

        The publisher's identity is not part of it in every ROS distribution. Without it, two
        publishers on one topic look like one that starts again and again.
        """
        # The identity is a dictionary, which cannot be a key.
        return self.update(info.get('publication_sequence_number'),
                           str(info.get('publisher_gid')))
