# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Draws training batches from any mixture of frame pools."""

import dataclasses
from typing import Callable, Mapping, Optional, Sequence

import numpy as np
import torch

from lvs_ros.training.augment import (CropRange, grid_of, look, paste, pixel_points,
                                      random_blur, random_light, random_shade, random_views,
                                      relight)
from lvs_ros.training.frames import Batch, FramePool
from lvs_ros.training.motion import random_motion


@dataclasses.dataclass(frozen=True)
class Clip:
    """A batch of short clips: the frames of each, oldest first, and the labels of the newest.

    :param images: each (B, 3, H, W) float32 0..255
    :param labels: (B, H, W) int64, of the newest frame; 255 = unlabelled, which may be all of it
    """

    images: tuple[torch.Tensor, ...]
    labels: torch.Tensor


@dataclasses.dataclass(frozen=True)
class Source:
    """A pool with its part in the mixture.

    :param share: how much of the batches comes from it, relative to the other sources
    :param real_time: share of real time in its clips, as far as its frames have earlier ones;
        the others are synthetic camera motion on one frame
    :param name: what messages and the notes of a model call it
    """

    pool: FramePool
    share: float = 1.0
    real_time: float = 1.0
    name: str = ''


@dataclasses.dataclass(frozen=True)
class _Plan:
    """A batch that has been drawn and is being read.

    :param parts: of frames: those of each source; of a clip: oldest, middle and newest frames,
        or the only ones
    :param middle: of a clip of synthetic motion: the fraction of it at the middle frame
    """

    parts: tuple[Callable[[], Batch], ...]
    middle: Optional[float] = None


@dataclasses.dataclass(frozen=True)
class _Ahead:
    """A plan drawn before its time, with the states of the generator around the drawing."""

    kind: tuple
    plan: _Plan
    before: Mapping
    after: Mapping


class Sampler:
    """Random batches of augmented frames and clips.

    The batch after the present one is drawn together with it, so that it can be read from the
    disk while the present one is trained on. The generator is set back afterwards: a training
    that is resumed with the state of ``random`` draws the same batches.

    :param sources: what to draw from
    :param crop: (height, width) of the batches
    :param seed: of the choice of frames; another one for each process of a distributed training
    :param pasted: (classes,) bool, classes of which frames get more, see
        :func:`~lvs_ros.training.augment.paste`; None = of none
    """

    def __init__(self, sources: Sequence[Source], *, crop: tuple[int, int], seed: int,
                 pasted: Optional[torch.Tensor] = None) -> None:
        self._sources = [source for source in sources if source.share > 0]
        if not self._sources:
            raise ValueError('no source has a share above 0')
        self._crop, self._pasted = crop, pasted
        self.random = np.random.default_rng(seed)
        self._ahead: Optional[_Ahead] = None
        self.device = self._sources[0].pool.device

    def frames(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Labelled frames that stand alone: images (B, 3, H, W), labels (B, H, W) int64.

        Only from sources with labels of their own: the full network learns nothing from its own
        masks.
        """
        plan = self._next(('frames', count), lambda: self._draw_frames(count))
        with self._exact():
            return self._augment(*_joined(plan))

    def clip(self, count: int, *, longest_s: float = 0.8) -> Clip:
        """Clips of three frames: real time, or synthetic camera motion where frames stand alone.

        :param longest_s: from the oldest to the newest frame at most
        """
        plan = self._next(('clip', count, longest_s), lambda: self._draw_clip(count, longest_s))
        with self._exact():
            if plan.middle is not None:
                return self._moved_clip(plan, plan.middle)
            return self._real_clip(plan)

    def _next(self, kind: tuple, draw: Callable[[], _Plan]) -> _Plan:
        generator, ahead = self.random.bit_generator, self._ahead
        if ahead is not None and ahead.kind == kind and ahead.before == generator.state:
            plan, generator.state = ahead.plan, ahead.after
        else:
            plan = draw()
        before = generator.state
        self._ahead = _Ahead(kind, draw(), before, after=generator.state)
        generator.state = before
        return plan

    def _exact(self) -> torch.autocast:
        # In mixed precision, sampling coordinates would be rounded to about two pixels.
        return torch.autocast(self.device.type, enabled=False)

    def _draw_frames(self, count: int) -> _Plan:
        sources = [one for one in self._sources
                   if not one.pool.taught and one.pool.labelled.any()]
        if not sources:
            raise ValueError('no source with labels of its own')
        counts = self.random.multinomial(count, _shares(sources))
        return _Plan(tuple(
            source.pool.request(self.random.choice(np.flatnonzero(source.pool.labelled), size))
            for source, size in zip(sources, counts) if size))

    def _draw_clip(self, count: int, longest_s: float) -> _Plan:
        source = self._sources[self.random.choice(len(self._sources), p=_shares(self._sources))]
        pool = source.pool
        candidates = pool.with_earlier(longest_s)
        if self.random.random() >= source.real_time * len(candidates) / len(pool):
            chosen = self._random_labelled(pool, np.arange(len(pool)), count)
            return _Plan((pool.request(chosen),), middle=0.2 + 0.6 * float(self.random.random()))
        newest = self._random_labelled(pool, candidates, count)
        oldest = np.array([self.random.choice(pool.earlier(int(index), longest_s=longest_s))
                           for index in newest])
        middle = self.random.integers(oldest, newest + 1)
        return _Plan(tuple(pool.request(indices) for indices in (oldest, middle, newest)))

    def _random_labelled(self, pool: FramePool, candidates: np.ndarray, count: int) -> np.ndarray:
        """Draw from the candidates, half of them labelled ones where there are some."""
        drawn = self.random.choice(candidates, count)
        labelled = candidates[pool.labelled[candidates]]
        if len(labelled):
            rows = self.random.random(count) < 0.5
            drawn[rows] = self.random.choice(labelled, int(rows.sum()))
        return drawn

    def _augment(self, images: torch.Tensor, labels: torch.Tensor
                 ) -> tuple[torch.Tensor, torch.Tensor]:
        views, points = self._views(images, CropRange())
        seen, ids = look(images, labels, grid_of(views, points))
        if self._pasted is not None:
            seen, ids = paste(seen, ids, self._pasted)
        seen = relight(seen, random_light(len(images), self.device, strength=1.0))
        return random_blur(random_shade(seen, probability=0.5), probability=0.3), ids

    def _moved_clip(self, plan: _Plan, middle: float) -> Clip:
        images, labels = _joined(plan)
        views, points = self._views(images, CropRange(zoom=(1.0, 1.7)))
        newest, ids = look(images, labels, grid_of(views, points))
        motion = random_motion(ids)
        older = [look(images, labels, grid_of(views, motion.back(points, fraction)))[0]
                 for fraction in (1.0, middle)]
        return Clip(self._light([*older, newest]), ids)

    def _real_clip(self, plan: _Plan) -> Clip:
        batches = [part() for part in plan.parts]
        grid = grid_of(*self._views(batches[0][0], CropRange(zoom=(1.0, 1.7))))
        seen = [look(*batch, grid) for batch in batches]
        return Clip(self._light([images for images, _ in seen]), seen[-1][1])

    def _views(self, images: torch.Tensor, crop: CropRange) -> tuple[torch.Tensor, torch.Tensor]:
        count, (height, width) = len(images), self._crop
        views = random_views(count, height, width, self.device, crop,
                             frame=(images.shape[2], images.shape[3]))
        return views, pixel_points(count, height, width, self.device)

    def _light(self, images: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        # one light for the clip, with a little of its own for each frame: cameras adjust exposure
        count = len(images[0])
        light = random_light(count, self.device, strength=0.8)
        return tuple(
            random_blur(relight(frame, light + random_light(count, self.device, strength=0.08)),
                        probability=0.1) for frame in images)


def _joined(plan: _Plan) -> Batch:
    images, labels = zip(*(part() for part in plan.parts))
    return torch.cat(images), torch.cat(labels)


def _shares(sources: Sequence[Source]) -> np.ndarray:
    shares = np.array([source.share for source in sources], np.float64)
    return shares / shares.sum()
