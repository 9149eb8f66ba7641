# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The sky with its clouds, and the far skyline where the street ends."""

from __future__ import annotations

import functools

import cv2
import numpy as np

from lvs_ros.street import noise
from lvs_ros.street.light import Light
from lvs_ros.street.randomness import cell_random
from lvs_ros.street.surfaces import BUILDING, SKY, TREE
from lvs_ros.street.view import View

_SKYLINE_STREAM = 30
_PANORAMA = (1024, 256)
_PIXELS_PER_RADIAN = 340.0
_FAR_AWAY_M = 190.0


class Sky:
    """The sky of a scene: a panorama that turns with the camera.

    :param light: of the scene.
    :param seed: of the scene.
    """

    def __init__(self, light: Light, seed: int) -> None:
        self._seed = seed
        width, height = _PANORAMA
        part = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None, None]
        gradient = (1.0 - part) * np.array(light.sky_top, np.float32) \
            + part * np.array(light.sky_bottom, np.float32)
        tile = cv2.resize(noise.clouds(), (width, noise.TILE))
        shift = cell_random(seed, _SKYLINE_STREAM, 1).randrange(noise.TILE)
        # Clouds lie flatter towards the horizon.
        rows = (shift + np.linspace(0.0, 1.0, height) ** 0.6 * 420).astype(int) % noise.TILE
        amount = np.clip((tile[rows] - 0.75 + 0.5 * light.cloud_amount) * 3.0, 0.0, 1.0)
        is_bright = max(light.sky_bottom) > 200.0
        cloud = np.array((250, 250, 250) if is_bright else
                         [0.62 * value for value in light.sky_top], np.float32)
        cloud_part = (0.75 * amount)[..., None]
        picture = gradient * (1.0 - cloud_part) + cloud * cloud_part
        self._panorama = np.insert(np.clip(picture, 0, 255).astype(np.uint8), 3, SKY, axis=2)

    def paint(self, view: View) -> None:
        """Paint sky and skyline above the horizon; the rest of the canvas stays as it is."""
        canvas, camera = view.canvas, view.camera
        bottom = min(canvas.height, max(0, int(camera.horizon) + 2))
        if bottom:
            scale = _PIXELS_PER_RADIAN / camera.focal
            affine = np.array([
                [scale, 0.0, 512.0 + _PIXELS_PER_RADIAN * camera.heading
                 - 0.5 * canvas.width * scale],
                [0.0, scale, _PANORAMA[1] - scale * camera.horizon]])
            canvas.pixels[:bottom] = cv2.warpAffine(
                self._panorama, affine, (canvas.width, bottom),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT)
        self._paint_skyline(view)

    def _paint_skyline(self, view: View) -> None:
        canvas, camera = view.canvas, view.camera
        step = 0.07
        reach = 0.75 * canvas.width / camera.focal
        heading = camera.heading
        for index in range(int((heading - reach) // step), int((heading + reach) // step) + 1):
            is_tree, tall, rough = _far_thing(self._seed, index)
            middle = (index + 0.5) * step - heading
            colour = view.light.tone((66, 70, 56) if is_tree else (104, 92, 84), _FAR_AWAY_M)
            u = camera.centre_u + camera.focal * (middle + camera.pose.yaw)
            half = camera.focal * step * 0.56
            bottom = camera.horizon + 2
            foot = [[u + half, bottom], [u - half, bottom]]
            if is_tree:
                angle = np.linspace(np.pi, 2.0 * np.pi, len(rough))
                crown = np.stack([u + half * np.cos(angle),
                                  bottom + camera.focal * tall * rough * np.sin(angle) * 1.1
                                  - 0.35 * camera.focal * tall], axis=-1)
                canvas.polygons(np.concatenate([crown, foot])[None], colour, TREE)
            else:
                top = camera.horizon - camera.focal * tall
                canvas.convex(np.array([[u - half, top], [u + half, top], *foot]), colour,
                              BUILDING)


@functools.lru_cache(maxsize=512)
def _far_thing(seed: int, index: int) -> tuple[bool, float, np.ndarray]:
    """Return whether a piece of the skyline is a tree, its height (radians) and its outline."""
    draw = cell_random(seed, _SKYLINE_STREAM, index + 1000)
    is_tree = draw.random() < 0.6
    tall = draw.uniform(0.012, 0.04) if is_tree else draw.uniform(0.02, 0.05)
    return is_tree, tall, np.array([draw.uniform(0.75, 1.0) for _ in range(14)])
