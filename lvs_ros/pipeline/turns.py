# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Lets the two tracks use all of a small CPU in turn.

Where cores are few, two tracks at a time are in each other's way: each has too few cores of its
own, or its threads wait for cores that the other's are on. Here each track uses all cores while it
is its turn. S_h gives its turn back after every step, so that a frame waits for one step at most.
"""

import contextlib
import threading
from typing import Iterator


class Turns:
    """Who may compute: a lock for one thread with frames and one with S_h; frames come first.

    A frame that waits goes before a step that waits; but between two frames one step goes first if
    it waits, so that S_h gets on even where frame follows frame without a pause.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._taken = False
        self._frames_waiting = 0
        self._steps_waiting = 0
        self._step_is_next = False      # the last turn was a frame's
        self._closed = False

    @contextlib.contextmanager
    def frame(self) -> Iterator[None]:
        """Hold the turn for a frame; waits for the step or frame under way."""
        with self._condition:
            self._frames_waiting += 1
            try:
                self._condition.wait_for(
                    lambda: self._closed or not (
                        self._taken or self._step_is_next and self._steps_waiting))
            finally:
                self._frames_waiting -= 1
            self._taken = True
        try:
            yield
        finally:
            self._give_back(step_is_next=True)

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """Hold the turn for one step of S_h; waits for the frames."""
        with self._condition:
            self._steps_waiting += 1
            try:
                self._condition.wait_for(
                    lambda: self._closed or not (
                        self._taken or self._frames_waiting and not self._step_is_next))
            finally:
                self._steps_waiting -= 1
            self._taken = True
        try:
            yield
        finally:
            self._give_back(step_is_next=False)

    def close(self) -> None:
        """Let everybody go at once, now and later: nobody must wait for a track that has ended."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _give_back(self, *, step_is_next: bool) -> None:
        with self._condition:
            self._taken = False
            self._step_is_next = step_is_next
            self._condition.notify_all()
