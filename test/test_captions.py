# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What stands under the pictures of a video."""

import numpy as np
import pytest

from lvs_ros.captions import Captions
from lvs_ros.labels import LabelSet, load_label_set

CAMVID = load_label_set('camvid')


def colours_of(picture: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(colour) for colour in np.unique(picture.reshape(-1, 3), axis=0).tolist()}


@pytest.mark.parametrize('name', ['camvid', 'cityscapes'])
@pytest.mark.parametrize('width, height', [(480, 360), (2048, 1024), (333, 251)])
def test_nothing_of_the_picture_is_covered_and_all_classes_are_named(
        width: int, height: int, name: str) -> None:
    labels = load_label_set(name)
    picture = np.full((height, width, 3), 77, np.uint8)

    found = Captions(labels, 'drive, model', (width, height)).under(
        picture, time_s=12.5, key_age_frames=0)

    np.testing.assert_array_equal(found[:height], picture)
    assert found.shape[1:] == (width, 3)
    assert height < len(found) <= 1.5 * height
    assert set(labels.colours) <= colours_of(found[height:])


def test_a_key_frame_is_seen_and_the_legend_stays_where_it_is() -> None:
    captions = Captions(CAMVID, '', (480, 360))
    picture = np.zeros((360, 480, 3), np.uint8)
    key, next_one, later = (captions.under(picture, time_s=time_s, key_age_frames=age)[360:]
                            for time_s, age in ((1.0, 0), (1.1, 1), (1234.56, 15)))

    mark = (255, 176, 0)
    assert mark in colours_of(key)
    assert mark not in colours_of(next_one) | colours_of(later)
    assert len({one.shape for one in (key, next_one, later)}) == 1
    differing = np.flatnonzero((key != later).any(axis=(1, 2)))
    assert differing.max() < len(key) / 3    # the line above the legend
    assert (next_one != later).any()


def test_a_set_of_very_many_classes_says_how_many_are_left_out() -> None:
    many = LabelSet('many', tuple(f'a class of the name {number}' for number in range(200)),
                    tuple((number, 255 - number, 9) for number in range(200)))
    found = Captions(many, 'title', (160, 120)).under(
        np.zeros((120, 160, 3), np.uint8), time_s=0.0, key_age_frames=-1)
    assert len(found) < 120 * 1.8
    assert many.colours[0] in colours_of(found) and many.colours[199] not in colours_of(found)


def test_a_picture_of_another_shape_keeps_its_shape() -> None:
    captions = Captions(CAMVID, '', (400, 300))
    found = captions.under(np.full((300, 100, 3), 200, np.uint8), time_s=0.0, key_age_frames=2)
    assert (found[:300, 150:250] == 200).all()
    assert not found[:300, :150].any() and not found[:300, 250:].any()
