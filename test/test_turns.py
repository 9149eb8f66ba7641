# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Turns: never two at a time, frames first, and a step between two frames."""

import random
import threading
from typing import Any, Callable, ContextManager

import pytest

from lvs_ros.pipeline.turns import Turns


class WatchedTurns(Turns):
    """Tells when somebody has begun to wait, so that a test need not sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = threading.Semaphore(0)
        wait_for = self._condition.wait_for

        def watched(predicate: Callable[[], bool], timeout: Any = None) -> bool:
            if not predicate():
                self.waiting.release()
            return wait_for(predicate, timeout)

        setattr(self._condition, 'wait_for', watched)


class Rig:
    """Threads that want turns, and the order in which they had them."""

    def __init__(self) -> None:
        self.turns = WatchedTurns()
        self.order: list[str] = []
        self.threads: list[threading.Thread] = []

    def want(self, name: str, turn: Callable[[], ContextManager[None]]) -> None:
        """Ask for a turn in a thread of its own; returns when that thread waits."""
        def work() -> None:
            with turn():
                self.order.append(name)

        thread = threading.Thread(target=work, daemon=True)
        self.threads.append(thread)
        thread.start()
        assert self.turns.waiting.acquire(timeout=30)

    def join(self) -> None:
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive()


def test_a_frame_goes_before_a_step_that_waited_longer() -> None:
    rig = Rig()
    with rig.turns.step():
        rig.want('step', rig.turns.step)
        rig.want('frame', rig.turns.frame)
    rig.join()
    assert rig.order == ['frame', 'step']


def test_one_step_goes_between_two_frames() -> None:
    rig = Rig()
    with rig.turns.frame():
        rig.want('frame', rig.turns.frame)
        rig.want('step', rig.turns.step)
    rig.join()
    assert rig.order == ['step', 'frame']


def test_who_is_alone_never_waits() -> None:
    turns = Turns()
    for turn in (turns.frame, turns.frame, turns.step, turns.step, turns.frame):
        with turn():
            pass


def test_never_two_at_a_time() -> None:
    turns = Turns()
    inside = threading.Lock()
    failed = []

    def work(seed: int) -> None:
        choose = random.Random(seed)
        for _ in range(200):
            with choose.choice((turns.frame, turns.step))():
                if not inside.acquire(blocking=False):
                    failed.append(seed)
                    return
                inside.release()

    workers = [threading.Thread(target=work, args=(seed,), daemon=True) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
        assert not worker.is_alive()
    assert failed == []


@pytest.mark.parametrize('kind', ['frame', 'step'])
def test_an_exception_gives_the_turn_back(kind: str) -> None:
    turns = Turns()
    with pytest.raises(KeyboardInterrupt):
        with getattr(turns, kind)():
            raise KeyboardInterrupt
    with turns.frame():
        pass
    with turns.step():
        pass


def test_who_is_interrupted_while_waiting_is_forgotten() -> None:
    rig = Rig()

    def interrupted(predicate: Callable[[], bool], timeout: Any = None) -> bool:
        raise KeyboardInterrupt

    with rig.turns.step():
        wait_for = getattr(rig.turns._condition, 'wait_for')
        setattr(rig.turns._condition, 'wait_for', interrupted)
        with pytest.raises(KeyboardInterrupt):
            with rig.turns.frame():
                pass
        setattr(rig.turns._condition, 'wait_for', wait_for)
        rig.want('step', rig.turns.step)
    rig.join()    # not held up by the frame that has given up
    assert rig.order == ['step']


def test_close_lets_everybody_go() -> None:
    rig = Rig()
    with rig.turns.step():
        rig.want('frame', rig.turns.frame)
        rig.want('step', rig.turns.step)
        rig.turns.close()
        rig.join()
        with rig.turns.frame():
            pass
    assert sorted(rig.order) == ['frame', 'step']
