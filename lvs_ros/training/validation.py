# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What each stage is measured by on the held-out part.

By the network's own forward path and the node's label map, without flip averaging:

- network, detail, small, small_half: mIoU of every frame, computed in full;
- propagation: mIoU of frames whose features are propagated from an earlier one;
- recurrent: mIoU of the newest of three frames;
- deviation: mean absolute error of the predicted deviation, against the fraction of pixels whose
  label differs between the full segmentations.
"""

import math
from typing import Callable, Optional, Sequence

import numpy as np
import torch
from torch.nn import functional

from lvs_ros.evaluation.metrics import ConfusionMatrix, pixel_accuracy
from lvs_ros.labels import UNLABELLED
from lvs_ros.model.network import SegmentationNetwork
from lvs_ros.model.rivals import Rivals, run_recurrent, shrink
from lvs_ros.model.small_network import SMALL_SHAPES
from lvs_ros.training.best import Measured
from lvs_ros.training.flows import BatchFlow
from lvs_ros.training.held_out_clips import HeldOutClips
from lvs_ros.training.losses import PROPAGATED_SHARE
from lvs_ros.training.sampling import Clip

Validate = Callable[[], Measured]


class Validator:
    """Measures the stages of a training on what is held out.

    :param clips: what is held out
    :param names: of the classes
    :param weights: (classes,) float32, of the cross-entropy, as in training
    """

    def __init__(self, clips: HeldOutClips, names: Sequence[str], weights: torch.Tensor) -> None:
        self._clips, self._names, self._weights = clips, names, weights

    def of_stage(self, stage: str, network: SegmentationNetwork, rivals: Rivals) -> Validate:
        """Return what measures a stage. The networks are in evaluation mode when it is called."""
        if stage == 'deviation':
            return _Deviation(network, self._clips).measure
        if stage == 'propagation':
            flow = BatchFlow() if network.config.alignment == 'flow' else None
            return lambda: self._of_clips(network, lambda clip: _propagated(network, flow, clip),
                                          share=PROPAGATED_SHARE)
        if stage == 'recurrent':
            shared = BatchFlow()
            return lambda: self._of_clips(
                network, lambda clip: _recurrent(network, rivals, shared, clip))
        return lambda: self._of_frames(
            rivals.small_network(stage) if stage in SMALL_SHAPES else network)

    def _of_frames(self, network: SegmentationNetwork) -> Measured:
        sums = _Sums(network, self._names, self._weights)
        for images, labels in self._clips.frames():
            low, detail = network.low_and_detail(images)
            sums.add(network.logits(network.high(low), detail), labels)
        return sums.measured(taught=self._clips.taught)

    def _of_clips(self, network: SegmentationNetwork, logits_of: Callable[[Clip], torch.Tensor],
                  *, share: float = 1.0) -> Measured:
        sums = _Sums(network, self._names, self._weights, share)
        for clip in self._clips.clips():
            sums.add(logits_of(clip), clip.labels)
        return sums.measured(taught=self._clips.taught)


class _Sums:
    """Over the frames: confusion matrix and cross-entropy.

    :param share: of the cross-entropy in the loss, so that it can be laid over that of training
    """

    def __init__(self, network: SegmentationNetwork, names: Sequence[str], weights: torch.Tensor,
                 share: float = 1.0) -> None:
        self._network, self._names, self._weights, self._share = network, names, weights, share
        self._matrix = ConfusionMatrix(len(names))
        self._loss, self._weight = 0.0, 0.0

    def add(self, logits: torch.Tensor, labels: torch.Tensor) -> None:
        """Add one frame: logits (1, classes, h, w) and labels (1, H, W) int64."""
        size = (labels.shape[1], labels.shape[2])
        mask, _ = self._network.label_map(logits, size, size)
        self._matrix.add(labels[0].to(torch.uint8).cpu().numpy(), mask.cpu().numpy())
        full = self._network.upsample(logits.float().contiguous(), *size)
        known = labels[labels != UNLABELLED]
        self._loss += float(functional.cross_entropy(
            full, labels, weight=self._weights, ignore_index=UNLABELLED, reduction='sum'))
        self._weight += float(self._weights[known].sum())

    def measured(self, *, taught: bool) -> Measured:
        mean = self._loss / self._weight if self._weight > 0 else math.nan
        loss = {'cross_entropy': self._share * mean}
        if taught:
            return Measured('agreement', {
                'agreement': float(pixel_accuracy(self._matrix.counts)), **loss})
        return Measured('miou', {'miou': self._matrix.miou(), **loss},
                        dict(zip(self._names, self._matrix.iou().tolist())))


class _Deviation:
    """The error of the deviation net.

    The network that it looks at is frozen: what is true of it is computed once.
    """

    def __init__(self, network: SegmentationNetwork, clips: HeldOutClips) -> None:
        self._network, self._clips = network, clips
        self._truths: list[float] = []

    def measure(self) -> Measured:
        network = self._network
        predicted: list[float] = []
        is_first = not self._truths
        for clip in self._clips.clips():
            lows = [network.low(image) for image in clip.images]
            if is_first:
                masks = [self._mask(low, clip.labels) for low in lows]
                self._truths += [float((mask != masks[2]).float().mean()) for mask in masks[:2]]
            predicted += [float(network.deviation(low, lows[2])) for low in lows[:2]]
        found, truth = np.array(predicted), np.array(self._truths)
        chance = found.clip(1e-6, 1 - 1e-6)
        losses = -truth * np.log(chance) - (1 - truth) * np.log1p(-chance)
        return Measured('deviation_error', {
            'deviation_error': float(np.abs(found - truth).mean()),
            'deviation': float(losses.mean())}, falls=True)

    def _mask(self, low: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        size = (labels.shape[1], labels.shape[2])
        return self._network.label_map(
            self._network.classify(self._network.high(low)), size, size)[0]


def _propagated(network: SegmentationNetwork, flow: Optional[BatchFlow], clip: Clip
                ) -> torch.Tensor:
    """Return the logits of the newest frame by the features of the oldest."""
    frames = (clip.images[0], clip.images[2])
    (key_low, _), (low, detail) = map(network.low_and_detail, frames)
    displacement = None if flow is None else flow.displacements(
        tuple(map(network.pad, frames)), [(1, 0)], height=low.shape[2], width=low.shape[3])[0]
    moved = network.propagate(network.embed(key_low), network.embed(low), network.high(key_low),
                              displacement)
    return network.logits(network.adapt(low, moved), detail)


def _recurrent(network: SegmentationNetwork, rivals: Rivals, flow: BatchFlow, clip: Clip
               ) -> torch.Tensor:
    """Return the log-probabilities of the newest frame by all three."""
    chances = [network.classify(network.high(network.low(image))).float().softmax(1)
               for image in clip.images]
    height, width = chances[0].shape[2:]
    frames = tuple(map(network.pad, clip.images))
    mixed = run_recurrent(
        rivals.recurrent, chances, [shrink(frame, height, width) for frame in frames],
        flow.displacements(frames, [(1, 0), (2, 1)], height=height, width=width))
    return mixed.clamp(min=1e-6).log()
