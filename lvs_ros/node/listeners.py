# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Whether the networks stand still because nobody subscribes to what they would compute."""

from __future__ import annotations

from typing import Any, Callable

from lvs_ros.node.outputs import Outputs

REASON = 'nobody subscribed to an output'


class Pause:
    """Tells for each image whether it is to be left out.

    :param log: told when a pause begins.
    """

    def __init__(self, log: Callable[[str], Any]) -> None:
        self._log = log
        self.active = False

    def is_due(self, *, wanted: bool, outputs: Outputs, reset: Callable[[str], None]) -> bool:
        """Begin, go on with or end a pause.

        :param wanted: the option pause_without_subscribers.
        :param outputs: of the node.
        :param reset: forgets the key frame, and tells the next frame's status why.
        :return: whether the image that has come is to be left out.
        """
        due = wanted and not outputs.is_heard
        if due and not self.active:
            reset(REASON)
            self._log(f'{REASON}: the networks stand still until somebody does')
        self.active = due
        return due
