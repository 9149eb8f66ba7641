# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Tiles of noise that repeat without a seam: asphalt, slabs, bricks, clouds, sensor grain."""

from __future__ import annotations

import functools

import cv2
import numpy as np

TILE = 512
"""Side of the tiles in pixels."""

TILE_SCALE = 32.0
"""Pixels of a tile per metre of a surface; a tile repeats every 16 m."""


def _white(generator: np.random.Generator, size: int = TILE) -> np.ndarray:
    return generator.standard_normal((size, size)).astype(np.float32)


def _octaves(generator: np.random.Generator, cells: tuple[int, ...]) -> np.ndarray:
    total = np.zeros((TILE, TILE), np.float32)
    for count in cells:
        scale = TILE // count
        # The grid goes on for two cells beyond each side, so that the tile has no seam.
        upsampled = cv2.resize(np.pad(_white(generator, count), 2, mode='wrap'), None, fx=scale,
                               fy=scale, interpolation=cv2.INTER_CUBIC)
        total += upsampled[2 * scale:-2 * scale, 2 * scale:-2 * scale] / np.sqrt(count)
    return total / total.std()


@functools.lru_cache(maxsize=1)
def asphalt() -> np.ndarray:
    """Return patches, stains and grit, (TILE, TILE) float32, standard deviation about 1."""
    generator = np.random.default_rng(11)
    tile = 0.8 * _octaves(generator, (4, 8, 32, 128))
    tile += 0.6 * _white(generator)
    patch = np.zeros_like(tile)
    for _ in range(7):
        u, v = generator.integers(0, TILE - 120, 2)
        patch[v:v + generator.integers(30, 120), u:u + generator.integers(20, 90)] -= 1.1
    for _ in range(10):
        course = np.cumsum(generator.integers(-1, 2, 90)) + generator.integers(60, TILE - 60)
        start = generator.integers(0, TILE - 90)
        patch[np.arange(start, start + 90), np.clip(course, 0, TILE - 1)] -= 3.0
    return tile + patch


@functools.lru_cache(maxsize=1)
def slabs() -> np.ndarray:
    """Return paving slabs with joints, (TILE, TILE) float32."""
    generator = np.random.default_rng(12)
    size = 32
    tile = 0.6 * np.kron(_white(generator, TILE // size), np.ones((size, size), np.float32))
    tile += 0.7 * _octaves(generator, (8, 64))
    tile += 0.4 * _white(generator)
    tile[::size] -= 2.0
    tile[:, ::size] -= 2.0
    return tile


@functools.lru_cache(maxsize=1)
def grounds() -> np.ndarray:
    """Return asphalt and slabs, (TILE, TILE, 2) float32: one look-up serves both."""
    return np.dstack([asphalt(), slabs()])


@functools.lru_cache(maxsize=1)
def bricks() -> np.ndarray:
    """Return weathered courses of bricks, (TILE, TILE) float32; rows go up the wall."""
    generator = np.random.default_rng(13)
    tall, wide = 4, 8
    shades = generator.standard_normal((TILE // tall, TILE // wide)).astype(np.float32)
    tile = 0.7 * np.kron(shades, np.ones((tall, wide), np.float32))
    tile[::2 * tall] -= 0.6
    return tile + 0.8 * _octaves(generator, (8, 16, 64))


@functools.lru_cache(maxsize=1)
def clouds() -> np.ndarray:
    """Return soft clouds, (TILE, TILE) float32 in 0..1."""
    tile = _octaves(np.random.default_rng(14), (4, 8, 16, 32, 64))
    return np.clip(0.5 + 0.33 * tile, 0.0, 1.0).astype(np.float32)


@functools.lru_cache(maxsize=1)
def grain() -> np.ndarray:
    """Return sensor noise, (TILE, TILE) float32, standard deviation 1."""
    white = _white(np.random.default_rng(15))
    soft = cv2.blur(np.pad(white, 1, mode='wrap'), (2, 2))[1:-1, 1:-1]
    mixed = 0.5 * white + soft
    return mixed / mixed.std()
