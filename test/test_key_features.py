# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which features are propagated, whenever results of S_h come in."""

from typing import Optional

import torch

from lvs_ros.backends.stages import LowFeatures
from lvs_ros.pipeline.execution import Job, JobResult
from lvs_ros.pipeline.key_features import FrameFeatures, KeyFeatures


def frame(number: int) -> FrameFeatures:
    return FrameFeatures(number, number * 100, LowFeatures(torch.zeros(1), None), None)


def result(number: int, *, refined: bool = False, high: Optional[float] = None,
           fails: bool = False) -> JobResult:
    """The result of a key frame; its features are its number, unless told otherwise."""
    features = None if fails else torch.tensor(float(number if high is None else high))
    job = Job(frame(number), number * 100, lambda: torch.zeros(1))
    return JobResult(job, features, 'no memory' if fails else None, 1.0, refined)


def provisional(number: int) -> KeyFeatures:
    """What a key frame leaves whose features were propagated."""
    return KeyFeatures(frame(number), frame(number), torch.tensor(-1.0), True)


def told(state: KeyFeatures) -> tuple[int, int, float, bool]:
    return state.key.number, state.source.number, float(state.high), state.awaits_key_frame


def test_the_result_of_the_key_frame_replaces_its_provisional_features() -> None:
    state = provisional(1)
    assert told(state) == (1, 1, -1.0, True)
    state.take(result(1))
    assert told(state) == (1, 1, 1.0, False)


def test_a_failure_changes_nothing() -> None:
    state = provisional(1)
    state.take(result(1, fails=True))
    assert told(state) == (1, 1, -1.0, True)


def test_a_late_result_of_an_older_key_frame_never_replaces_computed_features() -> None:
    state = provisional(2)
    for one in (result(2), result(1)):
        state.take(one)
    assert told(state) == (2, 2, 2.0, False)


def test_a_result_overtaken_by_a_newer_key_frame_still_renews_what_is_propagated() -> None:
    # With a key frame at every step, S_h would otherwise never have any effect.
    state = provisional(3)
    state.take(result(1))
    assert told(state) == (3, 1, 1.0, True)    # the key frame does not go back
    state.take(result(2))
    assert told(state) == (3, 2, 2.0, True)
    state.take(result(1))
    assert told(state) == (3, 2, 2.0, True)


def test_refined_features_replace_those_of_the_same_frame() -> None:
    state = provisional(2)
    state.take(result(2))
    state.take(result(2, refined=True, high=2.5))
    assert told(state) == (2, 2, 2.5, False)


def test_refined_features_never_replace_computed_ones_of_a_newer_frame() -> None:
    state = provisional(2)
    for one in (result(1), result(2), result(1, refined=True, high=1.5)):
        state.take(one)
    assert told(state) == (2, 2, 2.0, False)


def test_refined_features_of_an_older_frame_replace_those_that_are_still_propagated() -> None:
    state = provisional(2)
    state.take(result(1))
    state.take(result(1, refined=True, high=1.5))
    assert told(state) == (2, 1, 1.5, True)    # S_h of frame 2 is still to come
