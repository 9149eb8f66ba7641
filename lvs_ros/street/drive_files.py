# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Drives through the street as files, labelled: CamVid's layout with the times beside it."""

from __future__ import annotations

import csv
import pathlib
from collections.abc import Callable

import cv2

from lvs_ros.datasets.frame_times import SIDECAR
from lvs_ros.street.scene import StreetScene


def write_drive(folder: pathlib.Path, scene: StreetScene, *, rate_hz: float, duration_s: float,
                begin_s: float = 0.0, on_frame: Callable[[], object] = lambda: None) -> None:
    """Add a drive to a folder: ``images/`` and ``labels/`` (CamVid's class ids), both PNG.

    :param folder: exists; ``times.csv`` in it names image, time (s) and drive
    :param scene: its seed names the drive
    :param begin_s: time of the street at which the drive begins
    :param on_frame: called after each frame
    :raises OSError: when a file cannot be written
    """
    for name in ('images', 'labels'):
        (folder / name).mkdir(exist_ok=True)
    times, is_new = folder / SIDECAR, not (folder / SIDECAR).exists()
    drive = f'street{scene.seed}'
    with open(times, 'a', newline='', encoding='utf-8') as file:
        writer = csv.writer(file, lineterminator='\n')
        if is_new:
            writer.writerow(['image', 'time', 'drive'])
        for number in range(round(duration_s * rate_hz)):
            image, labels = scene.render(begin_s + number / rate_hz)
            name = f'{drive}_{number:05d}.png'
            _write_png(folder / 'images' / name, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            _write_png(folder / 'labels' / name, labels)
            writer.writerow([name, f'{number / rate_hz:.6f}', drive])
            on_frame()


def _write_png(path: pathlib.Path, image: cv2.typing.MatLike) -> None:
    path.write_bytes(cv2.imencode('.png', image)[1].tobytes())    # imwrite hides why it fails
