# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The three stages of training (paper, section 3.4), and two for comparison."""

import torch
from torch import nn

from lvs_ros.model.network import SegmentationNetwork
from lvs_ros.model.rivals import Rivals, run_recurrent, shrink
from lvs_ros.training.flows import BatchFlow
from lvs_ros.training.loop import LoopOptions, Losses, fit
from lvs_ros.training.losses import (cross_entropy, distillation, feature_distance,
                                     soft_jaccard)
from lvs_ros.training.sampling import Clip, Sampler


def train_stage(stage: str, network: SegmentationNetwork, rivals: Rivals, sampler: Sampler,
                weights: torch.Tensor, options: LoopOptions) -> None:
    """Run one stage by its name: network, propagation, deviation, small or recurrent.

    :param rivals: what the last two train; for ``network``
    :param weights: (classes,), of the cross-entropy
    """
    if stage == 'network':
        train_network(network, sampler, weights, options)
    elif stage == 'propagation':
        train_propagation(network, sampler, weights, options)
    elif stage == 'deviation':
        train_deviation(network, sampler, options)
    elif stage == 'small':
        train_small_head(network, rivals, sampler, weights, options)
    elif stage == 'recurrent':
        train_recurrent(network, rivals, sampler, weights, options)
    else:
        raise ValueError(f'no stage {stage!r}')


def train_network(network: SegmentationNetwork, sampler: Sampler, weights: torch.Tensor,
                  options: LoopOptions) -> None:
    """Stage 1: the per-frame network (S_l, S_h, classifier) on labelled frames."""
    # An auxiliary classifier half-way helps a deep network to start (PSPNet, section 3.3).
    auxiliary = nn.Conv2d(network.config.base_width * 4 * network.backbone.expansion,
                          network.config.classes, 1).to(sampler.device)
    middle: dict[str, torch.Tensor] = {}

    def keep(_module: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        middle['features'] = inputs[0]

    # S_h runs in steps and not by its blocks' forward; what stage 3 gives is what the first
    # convolution of stage 4 gets.
    first_of_stage_4 = network.backbone.stage(4)[0].get_submodule('conv1')
    hook = first_of_stage_4.register_forward_pre_hook(keep)
    trained = nn.ModuleList([*network.segmentation_parts(), auxiliary]).train()
    network.dropout.train()

    def losses() -> Losses:
        images, labels = sampler.frames(options.batch_size)
        low = network.low(images.contiguous(memory_format=torch.channels_last))
        logits = _enlarged(network, network.classify(network.high(low)), labels)
        extra = _enlarged(network, auxiliary(middle['features']), labels)
        return {'cross_entropy': cross_entropy(logits, labels, weights),
                'jaccard': 0.5 * soft_jaccard(logits, labels),
                'auxiliary': 0.3 * cross_entropy(extra, labels, weights)}

    try:
        fit('network', trained, losses, options, generator=sampler.random)
    finally:
        hook.remove()
    network.eval()


def _enlarged(network: SegmentationNetwork, logits: torch.Tensor, labels: torch.Tensor
              ) -> torch.Tensor:
    """Upsample logits to the size of the labels.

    In float32: each logit's gradient is a sum over its pixels, which 16 bits would round away.
    """
    return network.upsample(logits.float().contiguous(), *labels.shape[1:])


def train_propagation(network: SegmentationNetwork, sampler: Sampler, weights: torch.Tensor,
                      options: LoopOptions) -> None:
    """Stage 2: kernel predictor and AdaptNet jointly, the split network frozen.

    The full network, with flip averaging, is the teacher; labels are used too where there are
    some. Each clip is propagated twice: from the key features after flip averaging; and from those
    before it, by way of a frame in between, as it happens while a key frame is provisional.
    """
    network.eval().requires_grad_(False)
    trained = nn.ModuleList(network.propagation_parts()).train().requires_grad_(True)
    move = _Mover(network)

    def losses() -> Losses:
        clip = sampler.clip(options.batch_size)
        lows = _lows(network, clip)
        with torch.no_grad():
            key_high = network.high(lows[0])
            refined = network.refine(key_high, clip.images[0])
            wanted = network.refine(network.high(lows[-1]), clip.images[-1])
        move.begin(clip, lows)
        direct = move(0, 2, refined)
        chained = move(1, 2, move(0, 1, key_high))
        high = torch.cat((direct, chained))
        return _taught_losses(network, high, wanted.repeat(2, 1, 1, 1),
                              clip.labels.repeat(2, 1, 1), weights)

    fit('propagation', trained, losses, options, generator=sampler.random)
    network.eval()


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
    return {'cross_entropy': 0.5 * cross_entropy(
                _enlarged(network, logits, labels), labels, weights),
            'labels': 2.0 * distillation(logits, teacher),
            'features': 1.0 * feature_distance(high, wanted)}


class _Mover:
    """Propagates between the frames of a clip, as the pipeline does between those of a stream."""

    def __init__(self, network: SegmentationNetwork) -> None:
        self._network = network
        self._flow = BatchFlow() if network.config.alignment == 'flow' else None
        self._lows: list[torch.Tensor] = []
        self._embeddings: list[torch.Tensor] = []
        self._displacements: dict[tuple[int, int], torch.Tensor] = {}

    def begin(self, clip: Clip, lows: list[torch.Tensor]) -> None:
        """Compute embeddings and displacements of the three frames of a clip."""
        self._lows = lows
        self._embeddings = [self._network.embed(low) for low in lows]
        if self._flow is not None:
            pairs = [(1, 0), (2, 1), (2, 0)]    # (now, before)
            self._displacements = dict(zip(pairs, self._flow.displacements(
                _padded(self._network, clip), pairs, height=lows[0].shape[2],
                width=lows[0].shape[3])))

    def __call__(self, source: int, target: int, high: torch.Tensor) -> torch.Tensor:
        """Move F_h of one frame to a later one."""
        return self._network.adapt(self._lows[target], self._network.propagate(
            self._embeddings[source], self._embeddings[target], high,
            self._displacements.get((target, source))))


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


def train_deviation(network: SegmentationNetwork, sampler: Sampler, options: LoopOptions) -> None:
    """Stage 3: the fraction of pixels whose label differs between two full segmentations."""
    network.eval().requires_grad_(False)
    trained = network.deviation_net.train().requires_grad_(True)

    def losses() -> Losses:
        clip = sampler.clip(options.batch_size)
        lows = _lows(network, clip)
        with torch.no_grad():
            masks = [network.upsample(network.classify(high), *clip.labels.shape[1:]).argmax(1)
                     for high in _refined_highs(network, clip, lows)]
        predicted = torch.cat([trained.logit(lows[0], lows[2]), trained.logit(lows[1], lows[2])])
        truth = torch.cat([(masks[0] != masks[2]).float().mean((1, 2)),
                           (masks[1] != masks[2]).float().mean((1, 2))])
        # cross-entropy with a fraction as its target is least where the sigmoid equals it
        return {'deviation': nn.functional.binary_cross_entropy_with_logits(predicted, truth)}

    fit('deviation', trained, losses, options, generator=sampler.random)
    network.eval()


def train_small_head(network: SegmentationNetwork, rivals: Rivals, sampler: Sampler,
                     weights: torch.Tensor, options: LoopOptions) -> None:
    """For comparison: the small network on every frame, with the losses of stage 2."""
    network.eval().requires_grad_(False)
    trained = rivals.small_head.train().requires_grad_(True)

    def losses() -> Losses:
        clip = sampler.clip(options.batch_size)
        with torch.no_grad():
            image = clip.images[-1].contiguous(memory_format=torch.channels_last)
            low = network.low(image)
            wanted = network.refine(network.high(low), image)
        return _taught_losses(network, trained(low), wanted, clip.labels, weights)

    fit('small', trained, losses, options, generator=sampler.random)
    rivals.eval()


def train_recurrent(network: SegmentationNetwork, rivals: Rivals, sampler: Sampler,
                    weights: torch.Tensor, options: LoopOptions) -> None:
    """For comparison: the gated recurrent unit, on three frames, each computed in full."""
    network.eval().requires_grad_(False)
    trained = rivals.recurrent.train().requires_grad_(True)
    flow = BatchFlow()

    def losses() -> Losses:
        # Its own experiment, too, uses consecutive frames: short clips.
        clip = sampler.clip(options.batch_size, longest_s=0.3)
        with torch.no_grad():
            chances = [network.classify(high).float().softmax(1)
                       for high in _refined_highs(network, clip, _lows(network, clip))]
        height, width = chances[0].shape[2:]
        frames = _padded(network, clip)
        displacements = flow.displacements(frames, [(1, 0), (2, 1)], height=height, width=width)
        images = [shrink(image, height, width) for image in frames]
        mixed = run_recurrent(trained, chances, images, displacements)
        logits = network.upsample(mixed.clamp(min=1e-6).log(), *clip.labels.shape[1:])
        return {'cross_entropy': cross_entropy(logits, clip.labels, weights)}

    fit('recurrent', trained, losses, options, generator=sampler.random)
    rivals.eval()
