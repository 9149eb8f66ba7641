# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The comparison of schedules on streets: its drives, and equal numbers of key frames."""

import pathlib

import numpy as np
import pytest

from lvs_ros.evaluation.street_schedules import (RATE_HZ, LabelledFrame, compare,
                                                 even_key_frames, run, stop_start_s)
from lvs_ros.evaluation import street_schedules
from lvs_ros.evaluation.rows import build_row
from lvs_ros.options import PipelineOptions
from lvs_ros.pipeline.frame import Frame
from lvs_ros.street import StreetScene

pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.mark.parametrize('frames, count', [(10, 3), (300, 61), (7, 7), (5, 1)])
def test_key_frames_are_spaced_evenly(frames: int, count: int) -> None:
    keys = [index for index, is_key in enumerate(even_key_frames(frames, count)) if is_key]
    assert len(keys) == count and keys[0] == 0
    gaps = {later - earlier for earlier, later in zip(keys, keys[1:])}
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_a_drive_has_a_stop_in_its_middle() -> None:
    motion = StreetScene(seed=9101, width=64, height=48).motion
    start_s = stop_start_s(StreetScene(seed=9101, width=64, height=48))
    assert motion.pose(start_s).speed == motion.cruise_speed
    assert 0 < motion.pose(start_s + 8.5).speed < motion.cruise_speed
    assert motion.pose(start_s + 9.2).standing and not motion.pose(start_s + 19.9).standing


def test_both_schedules_have_as_many_key_frames(
        tiny_model: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = StreetScene(seed=1, width=64, height=48)
    frames = [LabelledFrame(Frame(image, round(1e9 * index / RATE_HZ)), labels, index >= 5)
              for index in range(9) for image, labels in [scene.render(0.5 * index)]]
    options = PipelineOptions(model=str(tiny_model), device='cpu', flip_averaging=False,
                              threshold=0.0)
    with build_row('adaptive', options) as pipeline:
        some = run(pipeline, frames, [index % 4 == 0 for index in range(9)], options)
        every = run(pipeline, frames, None, options)
    assert some.key_frames == (3, 2, 1) and every.key_frames == (9, 5, 4)
    assert every.percent.shape == (3, 2)
    monkeypatch.setattr(street_schedules, 'drive', lambda seed: frames)
    (adaptive, even), = compare([1], options)
    assert adaptive.key_frames == even.key_frames == (9, 5, 4)
    np.testing.assert_array_equal(adaptive.percent, even.percent)
    np.testing.assert_array_equal(adaptive.percent, every.percent)
