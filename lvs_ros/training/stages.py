# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The three stages of training (paper, section 3.4), one for detail, three for comparison."""

import functools
from typing import Callable, NamedTuple, Optional, cast

import torch
from torch import nn

from lvs_ros.model.network import SegmentationNetwork
from lvs_ros.model.rivals import RIVALS, Rivals, run_recurrent, shrink
from lvs_ros.model.small_network import SMALL_SHAPES
from lvs_ros.ops.geometry import upsample
from lvs_ros.training.flows import BatchFlow
from lvs_ros.training.loop import Fitted, LoopOptions, Losses, fit
from lvs_ros.training.losses import (PROPAGATED_SHARE, cross_entropy, distillation,
                                     feature_distance, soft_jaccard)
from lvs_ros.training.sampling import Clip, Sampler
from lvs_ros.training.selection import Validation


DETAIL_CHANNELS = 16
"""Of the detail head that a network gets."""

Stage = tuple[nn.Module, Callable[[], Losses]]
"""What a stage trains, and what draws a batch and computes its losses."""


class Trained(NamedTuple):
    """The modules that a stage trained, and what it came to."""

    modules: nn.Module
    fitted: Fitted


def train_stage(stage: str, network: SegmentationNetwork, rivals: Rivals, sampler: Sampler,
                weights: torch.Tensor, options: LoopOptions,
                validation: Optional[Validation] = None) -> Trained:
    """Run one stage: network, propagation, deviation, detail, small, small_half, recurrent.

    What the stage does not train is frozen.

    :param rivals: what the last three train; for ``network``
    :param weights: (classes,), of the cross-entropy
    :param validation: chooses the weights that come out; None = the last ones do
    """
    begin = {'network': _network_stage, 'propagation': _propagation_stage,
             'deviation': _deviation_stage, 'detail': _detail_stage,
             'recurrent': _recurrent_stage}
    begin.update({name: functools.partial(_small_stage, name) for name in SMALL_SHAPES})
    network.eval().requires_grad_(False)
    trained, losses = begin[stage](network, rivals, sampler, weights, options.batch_size)
    rivals.eval()
    fitted = fit(stage, trained.train().requires_grad_(True), losses, options,
                 generator=sampler.random, validation=validation)
    network.eval()
    rivals.eval()
    rivals.trained |= {stage} & set(RIVALS)
    return Trained(trained, fitted)


def _network_stage(network: SegmentationNetwork, _rivals: Rivals, sampler: Sampler,
                   weights: torch.Tensor, batch_size: int) -> Stage:
    """Stage 1: the per-frame network (S_l, S_h, classifier) on labelled frames.

    A detail head goes: it was trained for another network.
    """
    network.remove_detail_head()
    # An auxiliary classifier half-way helps a deep network to start (PSPNet, section 3.3).
    auxiliary = nn.Conv2d(network.config.base_width * 4 * network.backbone.expansion,
                          network.config.classes, 1).to(sampler.device)
    middle: dict[str, torch.Tensor] = {}

    def keep(_module: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        middle['features'] = inputs[0]

    def losses() -> Losses:
        images, labels = sampler.frames(batch_size)
        low = network.low(images.contiguous(memory_format=torch.channels_last))
        with network.backbone.stage(4)[0].register_forward_pre_hook(keep):
            high = network.high(low)
        logits = _upsampled(network, network.classify(high), labels)
        extra = _upsampled(network, auxiliary(middle['features']), labels)
        return {**_label_losses(logits, labels, weights),
                'auxiliary': 0.3 * cross_entropy(extra, labels, weights)}

    return nn.ModuleList([*network.segmentation_parts(), auxiliary, network.dropout]), losses


def _label_losses(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> Losses:
    return {'cross_entropy': cross_entropy(logits, labels, weights),
            'jaccard': 0.5 * soft_jaccard(logits, labels)}


def _upsampled(network: SegmentationNetwork, logits: torch.Tensor, labels: torch.Tensor
               ) -> torch.Tensor:
    """Upsample logits to the size of the labels.

    In float32: each logit's gradient is a sum over its pixels, which 16 bits would round away.
    """
    return network.upsample(logits.float().contiguous(), *labels.shape[1:])


def _propagation_stage(network: SegmentationNetwork, _rivals: Rivals, sampler: Sampler,
                       weights: torch.Tensor, batch_size: int) -> Stage:
    """Stage 2: kernel predictor and AdaptNet jointly, the split network frozen.

    The full network, with flip averaging, is the teacher; labels are used too where there are
    some. Each clip is propagated twice: from the key features after flip averaging; and from those
    before it, by way of a frame in between, as it happens while a key frame is provisional.
    """
    move = _Motion(network, [(1, 0), (2, 1), (2, 0)])

    def losses() -> Losses:
        clip = sampler.clip(batch_size)
        lows = _lows(network, clip)
        with torch.no_grad():
            key_high = network.high(lows[0])
            refined = network.refine(key_high, clip.images[0])
            wanted = network.refine(network.high(lows[-1]), clip.images[-1])
        moved = move.of(clip, lows)
        direct = moved(0, 2, refined)
        chained = moved(1, 2, moved(0, 1, key_high))
        high = torch.cat((direct, chained))
        return _taught_losses(network, high, wanted.repeat(2, 1, 1, 1),
                              clip.labels.repeat(2, 1, 1), weights)

    return nn.ModuleList(network.propagation_parts()), losses


class _Motion:
    """Propagates in clips as the pipeline does.

    :param pairs: (now, before), the frames between which features will be moved
    """

    def __init__(self, network: SegmentationNetwork, pairs: list[tuple[int, int]]) -> None:
        self._network, self._pairs = network, pairs
        self._flow = BatchFlow() if network.config.alignment == 'flow' else None

    def of(self, clip: Clip, lows: list[torch.Tensor]
           ) -> Callable[[int, int, torch.Tensor], torch.Tensor]:
        """Return what moves F_h in a clip: (source, target, F_h of the source) → F_h."""
        network = self._network
        embeddings = [network.embed(low) for low in lows]
        height, width = lows[0].shape[2:]
        displacements = {} if self._flow is None else dict(zip(
            self._pairs, self._flow.displacements(
                _padded(network, clip), self._pairs, height=height, width=width)))

        def moved(source: int, target: int, high: torch.Tensor) -> torch.Tensor:
            return network.adapt(lows[target], network.propagate(
                embeddings[source], embeddings[target], high,
                displacements.get((target, source))))
        return moved


def _taught_losses(network: SegmentationNetwork, high: torch.Tensor, wanted: torch.Tensor,
                   labels: torch.Tensor, weights: torch.Tensor) -> Losses:
    """Return the losses of features that replace those of S_h: by labels, and by the teacher.

    :param high: (B, C_h, h, w), the features
    :param wanted: (B, C_h, h, w), S_h's own
    :param labels: (B, H, W) int64
    """
    logits = network.classify(high)
    with torch.no_grad():
        teacher = network.classify(wanted)
    return {'cross_entropy': PROPAGATED_SHARE * cross_entropy(
                _upsampled(network, logits, labels), labels, weights),
            'labels': 2.0 * distillation(logits, teacher),
            'features': 1.0 * feature_distance(high, wanted)}


def _detail_stage(network: SegmentationNetwork, _rivals: Rivals, sampler: Sampler,
                  weights: torch.Tensor, batch_size: int) -> Stage:
    """The detail head on labels, half of the batch with F_h of the frame, half with propagated.

    All else is frozen. A network without a detail head gets one.
    """
    if network.detail_head is None:
        network.add_detail_head(DETAIL_CHANNELS)
    head = cast(nn.Module, network.detail_head).to(sampler.device)
    move, count = _Motion(network, [(2, 0)]), max(1, batch_size // 2)

    def losses() -> Losses:
        images, labels = sampler.frames(count)
        clip = sampler.clip(count)
        with torch.no_grad():
            low, detail = network.low_and_detail(
                images.contiguous(memory_format=torch.channels_last))
            high = network.high(low)
            lows = _lows(network, clip)
            moved = move.of(clip, lows)(0, 2, network.high(lows[0]))
            own = network.low_and_detail(
                clip.images[2].contiguous(memory_format=torch.channels_last))[1]
            high, labels = torch.cat((high, moved)), torch.cat((labels, clip.labels))
            logits = network.classify(high)
        logits = network.add_detail(
            logits, high, torch.cat(cast(list[torch.Tensor], [detail, own])))
        return _label_losses(_upsampled(network, logits, labels), labels, weights)

    return head, losses


def _padded(network: SegmentationNetwork, clip: Clip) -> tuple[torch.Tensor, ...]:
    return tuple(network.pad(image) for image in clip.images)


@torch.no_grad()
def _lows(network: SegmentationNetwork, clip: Clip) -> list[torch.Tensor]:
    return [network.low(image.contiguous(memory_format=torch.channels_last))
            for image in clip.images]


@torch.no_grad()
def _refined_highs(network: SegmentationNetwork, clip: Clip, lows: list[torch.Tensor]
                   ) -> list[torch.Tensor]:
    return [network.refine(network.high(low), image) for low, image in zip(lows, clip.images)]


def _deviation_stage(network: SegmentationNetwork, _rivals: Rivals, sampler: Sampler,
                     _weights: torch.Tensor, batch_size: int) -> Stage:
    """Stage 3: the fraction of pixels whose label differs between two full segmentations."""
    def losses() -> Losses:
        clip = sampler.clip(batch_size)
        lows = _lows(network, clip)
        with torch.no_grad():
            # of the classifier: where labels change is seen at an eighth, too
            masks = [network.upsample(network.classify(high), *clip.labels.shape[1:]).argmax(1)
                     for high in _refined_highs(network, clip, lows)]
        predicted = torch.cat([network.deviation_net.logit(low, lows[2]) for low in lows[:2]])
        truth = torch.cat([(mask != masks[2]).float().mean((1, 2)) for mask in masks[:2]])
        # cross-entropy with a fraction as its target is least where the sigmoid equals it
        return {'deviation': nn.functional.binary_cross_entropy_with_logits(predicted, truth)}

    return network.deviation_net, losses


def _small_stage(name: str, network: SegmentationNetwork, rivals: Rivals, sampler: Sampler,
                 weights: torch.Tensor, batch_size: int) -> Stage:
    """For comparison: a small network on labelled frames, as stage 1 trains the large one."""
    small = rivals.small_network(name)
    if name not in rivals.trained:    # else it goes on
        small.begin_from(network)
    small.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def losses() -> Losses:
        images, labels = sampler.frames(batch_size)
        low = small.low(images.contiguous(memory_format=torch.channels_last))
        # On every second pixel, others at each step: losses on all would be most of the work.
        row, column = torch.randint(2, (2,)).tolist()
        labels = labels[:, row::2, column::2]
        height, width = labels.shape[1:]
        logits = upsample(small.classify(low).float().contiguous(), (height, width),
                          content=(images.shape[2], images.shape[3]),
                          align_corners=small.config.align_corners)
        return _label_losses(logits, labels, weights)

    return small, losses


def _recurrent_stage(network: SegmentationNetwork, rivals: Rivals, sampler: Sampler,
                     weights: torch.Tensor, batch_size: int) -> Stage:
    """For comparison: the gated recurrent unit, on three frames, each computed in full."""
    flow = BatchFlow()

    def losses() -> Losses:
        # Its own experiment, too, uses consecutive frames: short clips.
        clip = sampler.clip(batch_size, longest_s=0.3)
        with torch.no_grad():
            chances = [network.classify(high).float().softmax(1)
                       for high in _refined_highs(network, clip, _lows(network, clip))]
        height, width = chances[0].shape[2:]
        frames = _padded(network, clip)
        displacements = flow.displacements(frames, [(1, 0), (2, 1)], height=height, width=width)
        images = [shrink(image, height, width) for image in frames]
        mixed = run_recurrent(rivals.recurrent, chances, images, displacements)
        logits = network.upsample(mixed.clamp(min=1e-6).log(), *clip.labels.shape[1:])
        return {'cross_entropy': cross_entropy(logits, clip.labels, weights)}

    return rivals.recurrent, losses
