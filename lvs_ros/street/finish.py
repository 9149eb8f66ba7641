# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""From the canvas to the image: averaging, blur, the textures of surfaces, vignette and grain."""

from __future__ import annotations

import cv2
import numpy as np

from lvs_ros.street import noise
from lvs_ros.street.camera import Camera
from lvs_ros.street.light import Light
from lvs_ros.street.randomness import mix
from lvs_ros.street.surfaces import GROUND_MATERIAL, SLAB_MATERIAL, WALL_MATERIAL
from lvs_ros.street.view import View
from lvs_ros.street.world import FACADE_X_M

_ONE = 128.0
"""The gain of 1 in the byte map by which the image is multiplied."""

_STEP = 2


class Finisher:
    """Makes images of one size; holds nothing but tables.

    :param width: of the image, in pixels (the canvas has twice as many).
    :param height: of the image, in pixels.
    """

    def __init__(self, *, width: int, height: int) -> None:
        self.width, self.height = width, height
        v = np.linspace(-1.0, 1.0, height, dtype=np.float32)[:, None]
        u = np.linspace(-1.0, 1.0, width, dtype=np.float32)[None, :]
        self._vignette = _ONE * (1.06 - 0.08 * (u * u + v * v) ** 1.3)

    def finish(self, view: View, *, seed: int, time_s: float) -> np.ndarray:
        """Return the image, (H, W, 3) uint8 RGB."""
        pixels = view.canvas.pixels
        small = cv2.resize(pixels, (self.width, self.height), interpolation=cv2.INTER_AREA)
        image = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGBA2RGB), (3, 3), 0.55)
        material = pixels[::2, ::2, 3] >> 4
        gain = self._vignette + self._grain(view.light, seed, time_s)
        self._add_ground(gain, material, view.camera)
        self._add_walls(gain, material, view.camera)
        factors = np.clip(gain, 0.0, 255.0).astype(np.uint8)
        return cv2.multiply(image, cv2.merge((factors, factors, factors)), scale=1.0 / _ONE)

    def _grain(self, light: Light, seed: int, time_s: float) -> np.ndarray:
        code = mix(seed, int(round(time_s * 1e6)), 77)
        tile = noise.grain()
        rows = (np.arange(self.height) + (code & 511)) % noise.TILE
        columns = (np.arange(self.width) + (code >> 9 & 511)) % noise.TILE
        amount = 2.0 / max(light.exposure, 0.3) ** 0.5
        return tile.take(rows, axis=0).take(columns, axis=1) * amount

    def _add_ground(self, gain: np.ndarray, material: np.ndarray, camera: Camera) -> None:
        top = min(max(int(camera.horizon / 2.0) + 3, 0), self.height)
        if self.height - top < _STEP:
            return
        columns, rows = self._sampled(0, self.width), self._sampled(top, self.height)
        below = np.maximum(rows[:, None] - camera.horizon, 1e-3)
        depth = camera.focal * camera.pose.height / below
        # The modulus before the cast: far along the road float32 is too coarse.
        along = ((depth + camera.pose.s) * noise.TILE_SCALE % noise.TILE).astype(np.float32)
        z = depth.astype(np.float32)
        shift = (camera.pose.x - camera.bend(depth)).astype(np.float32)
        x = (columns[None, :] - np.float32(camera.centre_u)) * (z / np.float32(camera.focal)) \
            + shift
        values = cv2.remap(noise.grounds(), x * np.float32(noise.TILE_SCALE),
                           np.broadcast_to(along, x.shape), cv2.INTER_LINEAR,
                           borderMode=cv2.BORDER_WRAP)
        values *= (9.5 * np.minimum(1.0, (9.0 / z) ** 0.8))[..., None]
        asphalt, slabs = cv2.split(cv2.resize(values, (self.width, self.height - top)))
        part = material[top:]
        gain[top:] += np.where(part == GROUND_MATERIAL, asphalt, (part == SLAB_MATERIAL) * slabs)

    def _add_walls(self, gain: np.ndarray, material: np.ndarray, camera: Camera) -> None:
        bottom = min(self.height, int(camera.horizon / 2.0
                                      + 0.2 * camera.focal * camera.pose.height / FACADE_X_M) + 1)
        middle = min(max(int(camera.project_point(0.0, 0.0, camera.pose.s + 120.0)[0] / 2.0), 0),
                     self.width)
        for side, left, right in ((-1, 0, middle), (1, middle, self.width)):
            if min(bottom, right - left) >= _STEP:
                texture = self._wall(side, left, right, bottom, camera)
                gain[:bottom, left:right] += texture \
                    * (material[:bottom, left:right] == WALL_MATERIAL)

    def _wall(self, side: int, left: int, right: int, bottom: int, camera: Camera) -> np.ndarray:
        """Return the texture of the plane of the fronts, (bottom, right - left) float32."""
        samples = np.geomspace(200.0, 1.0, 160)
        u = camera.project(side * FACADE_X_M, 0.0, camera.pose.s + samples)[:, 0] * side
        wanted = self._sampled(left, right) * side
        distance = np.interp(wanted, np.maximum.accumulate(u), samples)[None, :]
        z = distance.astype(np.float32)
        rows = self._sampled(0, bottom)[:, None]
        y = np.float32(camera.pose.height) \
            - (rows - np.float32(camera.horizon)) * (z / np.float32(camera.focal))
        along = (distance + camera.pose.s) * noise.TILE_SCALE % noise.TILE
        values = cv2.remap(noise.bricks(), np.broadcast_to(along.astype(np.float32), y.shape),
                           y * np.float32(noise.TILE_SCALE), cv2.INTER_LINEAR,
                           borderMode=cv2.BORDER_WRAP)
        values *= 10.0 * np.minimum(1.0, (18.0 / z) ** 0.7)
        return cv2.resize(values, (right - left, bottom))

    def _sampled(self, start: int, end: int) -> np.ndarray:
        """Return the canvas coordinates, float32, at which a stretch of pixels is sampled.

        Textures are looked up at every other pixel: nearer than 4 m those are closer together
        than the pixels of the tile, farther off the texture has faded.
        """
        count = (end - start) // _STEP
        size = (end - start) / count
        centres = start + (np.arange(count, dtype=np.float32) + 0.5) * np.float32(size) - 0.5
        # The camera is that of the canvas, which has two pixels for one of the image.
        return (2.0 * centres + 0.5).astype(np.float32)
