# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The three stages of training (paper, section 3.4)."""

from typing import Any

import torch
from torch import nn

from lvs_ros.model.network import SegmentationNetwork
from lvs_ros.training.loop import LoopOptions, Losses, fit
from lvs_ros.training.losses import (cross_entropy, distillation, feature_distance,
                                     soft_jaccard)
from lvs_ros.training.sampling import Sampler


def train_network(network: SegmentationNetwork, sampler: Sampler, weights: torch.Tensor,
                  options: LoopOptions) -> None:
    """Stage 1: the per-frame network (S_l, S_h, classifier) on labelled frames."""
    # An auxiliary classifier half-way helps a deep network to start (PSPNet, section 3.3).
    auxiliary = nn.Conv2d(network.config.base_width * 4 * network.backbone.expansion,
                          network.config.classes, 1).to(sampler.device)
    middle: dict[str, torch.Tensor] = {}

    def keep(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
        middle['features'] = output

    hook = network.backbone.stage(3)[-1].register_forward_hook(keep)
    trained = nn.ModuleList([*network.segmentation_parts(), auxiliary]).train()
    network.dropout.train()

    def losses() -> Losses:
        images, labels = sampler.frames(options.batch_size)
        logits = network(images.contiguous(memory_format=torch.channels_last))
        extra = network.enlarge(auxiliary(middle['features']), *labels.shape[1:])
        return {'cross_entropy': cross_entropy(logits, labels, weights),
                'jaccard': 0.5 * soft_jaccard(logits, labels),
                'auxiliary': 0.3 * cross_entropy(extra, labels, weights)}

    try:
        fit('network', trained, losses, options)
    finally:
        hook.remove()
    network.eval()


def train_propagation(network: SegmentationNetwork, sampler: Sampler, weights: torch.Tensor,
                      options: LoopOptions) -> None:
    """Stage 2: kernel predictor and AdaptNet jointly, the split network frozen.

    The full network is the teacher; labels are used beside it where there are some. Half of the
    time the features come from the key frame by way of a frame in between, as they do while a
    key frame is provisional.
    """
    network.eval().requires_grad_(False)
    trained = nn.ModuleList(network.propagation_parts()).train().requires_grad_(True)

    def losses() -> Losses:
        clip = sampler.clip(options.batch_size)
        with torch.no_grad():
            lows = [network.low(image.contiguous(memory_format=torch.channels_last))
                    for image in clip.images]
            key_high, wanted = network.high(lows[0]), network.high(lows[-1])
            teacher = network.classify(wanted)
        embeddings = [network.embed(low) for low in lows]
        direct = network.adapt(lows[-1], network.propagate(embeddings[0], embeddings[2], key_high))
        between = network.adapt(lows[1], network.propagate(embeddings[0], embeddings[1], key_high))
        chained = network.adapt(
            lows[-1], network.propagate(embeddings[1], embeddings[2], between))
        high = torch.cat((direct, chained))
        logits = network.classify(high)
        labels = clip.labels.repeat(2, 1, 1)
        return {'cross_entropy': 0.5 * cross_entropy(
                    network.enlarge(logits, *labels.shape[1:]), labels, weights),
                'labels': 2.0 * distillation(logits, teacher.repeat(2, 1, 1, 1)),
                'features': 1.0 * feature_distance(high, wanted.repeat(2, 1, 1, 1))}

    fit('propagation', trained, losses, options)
    network.eval()


def train_deviation(network: SegmentationNetwork, sampler: Sampler, options: LoopOptions) -> None:
    """Stage 3: the fraction of pixels whose label differs between two full segmentations."""
    network.eval().requires_grad_(False)
    trained = network.deviation_net.train().requires_grad_(True)

    def losses() -> Losses:
        clip = sampler.clip(options.batch_size)
        with torch.no_grad():
            lows = [network.low(image.contiguous(memory_format=torch.channels_last))
                    for image in clip.images]
            masks = [network.enlarge(network.classify(network.high(low)),
                                     *clip.labels.shape[1:]).argmax(1) for low in lows]
        predicted = torch.cat([trained.logit(lows[0], lows[2]), trained.logit(lows[1], lows[2])])
        truth = torch.cat([(masks[0] != masks[2]).float().mean((1, 2)),
                           (masks[1] != masks[2]).float().mean((1, 2))])
        # cross-entropy with a fraction as its target is least where the sigmoid equals it
        return {'deviation': nn.functional.binary_cross_entropy_with_logits(predicted, truth)}

    fit('deviation', trained, losses, options)
    network.eval()
