# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Clips of the synthetic street as a frame pool."""

import concurrent.futures

import numpy as np
import torch

from lvs_ros.errors import LabelSetError
from lvs_ros.labels import UNLABELLED, LabelSet, load_label_set
from lvs_ros.street import StreetScene
from lvs_ros.training.frames import FramePool, HeldFrames

STREET_RATE_HZ = 15.0


def street_pool(device: torch.device, *, clips: int, frames: int, width: int, height: int,
                seed: int, class_ids: np.ndarray) -> FramePool:
    """Render clips of the synthetic street, each of another street, at 15 Hz.

    :param class_ids: (256,) uint8, what the classes of the street become, see
        :func:`street_class_ids`
    """
    seeds = [seed + index for index in range(clips)]

    def render(seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
        scene = StreetScene(seed=seed, width=width, height=height)
        start_s = 100.0 * np.random.default_rng(seed).random()
        rendered = [scene.render(start_s + index / STREET_RATE_HZ) for index in range(frames)]
        return [(image, class_ids[labels]) for image, labels in rendered]

    # OpenCV releases the interpreter while it draws, and threads need no pickling
    with concurrent.futures.ThreadPoolExecutor() as executor:
        rendered = list(executor.map(render, seeds))
    return HeldFrames.of(
        (frame for clip in rendered for frame in clip),
        [f'street {one}' for one in seeds for _ in range(frames)],
        [index / STREET_RATE_HZ for _ in seeds for index in range(frames)], device=device)


def street_class_ids(label_set: LabelSet) -> tuple[np.ndarray, list[str]]:
    """Say what the classes of the street, which are CamVid's, are in a label set.

    :return: (256,) uint8 the class id of each, 255 = none; and the names of those without one
    :raises LabelSetError: the set names a class that the street does not have, or one twice.
    """
    names = load_label_set('camvid').names
    table = np.full(256, UNLABELLED, np.uint8)
    for class_id, name in enumerate(label_set.names):
        for one in label_set.street[class_id] if label_set.street else (name,):
            if one not in names:
                if not label_set.street or one == name:
                    continue    # a class that the street does not show
                raise LabelSetError(f'the label set {label_set.name!r}: {name!r} stands for '
                                    f'{one!r} of the street; expected one of {", ".join(names)}')
            if table[names.index(one)] != UNLABELLED:
                raise LabelSetError(f'the label set {label_set.name!r}: two classes stand for '
                                    f'{one!r} of the street; expected one')
            table[names.index(one)] = class_id
    return table, [name for index, name in enumerate(names) if table[index] == UNLABELLED]
