# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Alignment by optical flow: warping against a naive loop, the flow against a known shift."""

from typing import Callable

import cv2
import numpy as np
import pytest
import torch

from lvs_ros.backends.cpu.propagation import NativeWarp
from lvs_ros.ops.warp import warp
from lvs_ros.pipeline.frame import Frame
from lvs_ros.pipeline.optical_flow import OpticalFlow
from native_levels import each_level, forced, needs_kernels


def naive(features: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """Bilinear reading with coordinates held inside, position by position."""
    channels, height, width = features.shape
    result = np.zeros_like(features)
    for y in range(height):
        for x in range(width):
            sx = min(max(x + displacement[0, y, x], 0), width - 1)
            sy = min(max(y + displacement[1, y, x], 0), height - 1)
            x0, y0 = int(np.floor(sx)), int(np.floor(sy))
            x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
            fx, fy = sx - x0, sy - y0
            for c in range(channels):
                plane = features[c]
                result[c, y, x] = ((1 - fy) * ((1 - fx) * plane[y0, x0] + fx * plane[y0, x1])
                                   + fy * ((1 - fx) * plane[y1, x0] + fx * plane[y1, x1]))
    return result


@pytest.mark.parametrize('size', [(5, 7), (1, 4), (6, 6)])
def test_warp_reads_where_the_content_was(size: tuple[int, int]) -> None:
    random = np.random.default_rng(3)
    features = random.normal(size=(2, 3, *size))
    displacement = random.uniform(-4, 4, size=(2, 2, *size))
    found = warp(torch.from_numpy(features), torch.from_numpy(displacement))
    for row in range(2):
        np.testing.assert_allclose(found[row].numpy(), naive(features[row], displacement[row]),
                                   atol=1e-9)


@needs_kernels
@each_level
@pytest.mark.parametrize('channels', [24, 5])    # in eights, and not
@pytest.mark.parametrize('channels_last', [False, True])
def test_the_native_one_reads_where_the_content_was(
        level: str, channels: int, channels_last: bool) -> None:
    random = np.random.default_rng(4)
    features = random.normal(size=(2, channels, 6, 9)).astype(np.float32)
    displacement = random.uniform(-6, 6, size=(2, 2, 6, 9)).astype(np.float32)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    with forced(level):
        found = NativeWarp()(torch.from_numpy(features).contiguous(memory_format=layout),
                             torch.from_numpy(displacement))
    for row in range(2):
        np.testing.assert_allclose(found[row].numpy(), naive(features[row], displacement[row]),
                                   atol=1e-5)


WARPS = [warp, pytest.param(NativeWarp(), marks=needs_kernels)]


@pytest.mark.parametrize('read', WARPS)
@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf, 1e30])
def test_a_wild_displacement_reads_inside_the_features(
        read: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], value: float) -> None:
    features = torch.rand(1, 8, 5, 7)
    found = read(features, torch.full((1, 2, 5, 7), value))
    assert found.isfinite().all() and found.min() >= features.min()


def test_no_displacement_changes_nothing() -> None:
    features = torch.rand(1, 4, 9, 11)
    torch.testing.assert_close(warp(features, torch.zeros(1, 2, 9, 11)), features)


def textured(height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 4) * 3


@pytest.mark.parametrize('shortest_side', [1000, 130])
def test_flow_finds_a_known_shift(shortest_side: int) -> None:
    # The camera turns: what was at x is at x - 16 now, so that it was 16 pixels to the right.
    scene = textured(240, 360)
    before, now = scene[:, :320], scene[:, 16:336]
    flow = OpticalFlow(shortest_side=shortest_side)
    greys = [flow.grey(Frame(image, 0)) for image in (now, before)]
    assert greys[0].shape == ((240, 320) if shortest_side > 240 else (120, 160))
    found = flow.displacement(*greys, height=30, width=40)
    assert found.shape == (1, 2, 30, 40)
    inner = found[0, :, 4:-4, 6:-6]    # at the borders the content was out of sight
    assert (inner[0] - 2.0).abs().median() < 0.1    # 16 pixels are 2 positions
    assert inner[1].abs().median() < 0.1
    # and features that moved with the picture fall into place
    old = torch.from_numpy(cv2.resize(before, (40, 30), interpolation=cv2.INTER_AREA))
    new = torch.from_numpy(cv2.resize(now, (40, 30), interpolation=cv2.INTER_AREA))
    moved = warp(old.permute(2, 0, 1)[None].float(), found)[0].permute(1, 2, 0)
    assert (moved - new)[4:-4, 6:-6].abs().mean() < 0.2 * (old.float() - new)[
        4:-4, 6:-6].abs().mean()
