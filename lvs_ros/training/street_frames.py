# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Clips of the synthetic street as a frame pool."""

import concurrent.futures

import numpy as np
import torch

from lvs_ros.street import StreetScene
from lvs_ros.training.frames import FramePool, HeldFrames

STREET_RATE_HZ = 15.0


def street_pool(device: torch.device, *, clips: int, frames: int, width: int, height: int,
                seed: int) -> FramePool:
    """Render clips of the synthetic street, each of another street, at 15 Hz."""
    seeds = [seed + index for index in range(clips)]

    def render(seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
        scene = StreetScene(seed=seed, width=width, height=height)
        start_s = 100.0 * np.random.default_rng(seed).random()
        return [scene.render(start_s + index / STREET_RATE_HZ) for index in range(frames)]

    # OpenCV releases the interpreter while it draws, and threads need no pickling
    with concurrent.futures.ThreadPoolExecutor() as executor:
        rendered = list(executor.map(render, seeds))
    return HeldFrames.of(
        (frame for clip in rendered for frame in clip),
        [f'street {one}' for one in seeds for _ in range(frames)],
        [index / STREET_RATE_HZ for _ in seeds for index in range(frames)], device=device)
