# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The whole network of the paper, as separate steps that a pipeline puts in order.

::

    image ── low ── F_l ──┬── high ─────────────── F_h ── logits                 (key frame)
                          ├── deviation(F_l^k, F_l)                              (every frame)
                          └── kernels(F_l^k, F_l) ── propagate ── adapt ── logits

The logits are those of the classifier or, with ``detail_channels``, these enlarged to a quarter of
the image and corrected by the frame's own features there.

With ``alignment: flow``, optical flow has brought the key frame's features close to their place
before the kernels are predicted. In the paper, the kernels do all of it.
"""

import dataclasses
import itertools
from typing import Optional

import torch
from torch import nn

from lvs_ros.checkpoints import checkpoint
from lvs_ros.model.adapt_net import AdaptNet
from lvs_ros.model.config import ModelConfig
from lvs_ros.model.detail_head import DetailHead
from lvs_ros.model.deviation_net import DeviationNet
from lvs_ros.model.heads import build_head
from lvs_ros.model.kernel_predictor import KernelPredictor
from lvs_ros.model.normalisation import Normalisation
from lvs_ros.model.resnet import SplitResNet
from lvs_ros.ops.geometry import pad_image, upsample
from lvs_ros.ops.label_map import LabelMap
from lvs_ros.ops.spatially_variant_convolution import SpatiallyVariantConvolution
from lvs_ros.ops.warp import Warp


class SegmentationNetwork(nn.Module):
    """S_l, S_h, classifier, detail head, deviation net, kernel predictor, AdaptNet. Has no state.

    A backend prepares it by replacing modules, among them those that have no parameters.
    """

    origin = 'the model'    # the file that it was read from, for messages

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.fallbacks: list[str] = []    # what a backend leaves to slower code, and why
        self.normalise: nn.Module = Normalisation(config.mean, config.std)
        self.backbone = SplitResNet(config)
        low, deep, high = (self.backbone.low_channels, self.backbone.out_channels,
                           config.head_channels)
        self.head = build_head(config, deep)
        self.dropout = nn.Dropout2d(0.1)
        self.classifier = nn.Conv2d(high, config.classes, 1)
        self.kernel_predictor = KernelPredictor(low, config.embed_channels, config.kernel_size)
        self.adapt_net = AdaptNet(low, config.adapt_channels, high)
        self.deviation_net = DeviationNet(
            low, config.deviation_channels, stride=config.deviation_stride)
        self.detail_head: Optional[nn.Module] = None
        if config.detail_channels:
            self.add_detail_head(config.detail_channels)
        self.warp = Warp()
        self.spatially_variant_convolution = SpatiallyVariantConvolution()
        self.label_map = LabelMap(align_corners=config.align_corners)

    def add_detail_head(self, channels: int) -> None:
        """Begin a detail head of so many channels inside, in place of one that is there."""
        self.config = dataclasses.replace(self.config, detail_channels=channels)
        self.detail_head = DetailHead(
            self.config.head_channels, self.backbone.quarter_channels, channels,
            self.config.classes, align_corners=self.config.align_corners)

    def remove_detail_head(self) -> None:
        """Leave it out: what it was trained for has changed."""
        self.config = dataclasses.replace(self.config, detail_channels=0)
        self.detail_head = None

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(itertools.chain(self.parameters(), self.buffers())).device

    def pad(self, image: torch.Tensor) -> torch.Tensor:
        """Repeat the border of an image up to the next size that features fit exactly.

        All methods that take an image do so; see :mod:`~lvs_ros.ops.geometry`.

        :param image: (B, 3, H, W) uint8 or float
        :return: (B, 3, H', W'), the same tensor where it has such a size
        """
        return pad_image(image, align_corners=self.config.align_corners)

    def low(self, image: torch.Tensor) -> torch.Tensor:
        """S_l.

        :param image: (B, 3, H, W) uint8 or float, RGB, 0..255
        :return: F_l, (B, C_l, h, w): a position for every 8 pixels of the padded image
        """
        return self.low_and_detail(image)[0]

    def low_and_detail(self, image: torch.Tensor
                       ) -> tuple[torch.Tensor, Optional[torch.Tensor]]:
        """S_l, and of it what the detail head reads.

        :param image: as for :meth:`low`
        :return: F_l; detail (B, C_d, H, W), a position for every 4 pixels of the padded image, or
            None without a detail head
        """
        low, quarter = self.backbone.low_and_quarter(self.normalise(self.pad(image)))
        return low, None if self.detail_head is None else quarter

    def high(self, low: torch.Tensor) -> torch.Tensor:
        """S_h: F_l → F_h, (B, C_h, h, w)."""
        return self.head(self.backbone.high(low))

    def refine(self, high: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Improve F_h by flip averaging (test-time augmentation).

        The mean of F_h and that of the flipped image, flipped back. As the classifier is linear,
        that is the mean of its logits.

        :param high: (B, C_h, h, w), :meth:`high` of the image
        :param image: (B, 3, H, W) uint8 or float, RGB, 0..255
        :return: (B, C_h, h, w)
        """
        flipped = self.pad(image).flip(3).contiguous(memory_format=torch.channels_last)
        other = self.high(self.low(flipped))
        checkpoint()
        return ((high + other.flip(3)) / 2).contiguous(memory_format=torch.channels_last)

    def classify(self, high: torch.Tensor) -> torch.Tensor:
        """F_h → logits of the classifier (B, classes, h, w)."""
        return self.classifier(self.dropout(high))

    def add_detail(self, logits: torch.Tensor, high: torch.Tensor,
                   detail: Optional[torch.Tensor]) -> torch.Tensor:
        """Give logits of F_h the detail of their frame.

        :param logits: (B, classes, h, w), :meth:`classify` of F_h
        :param high: (B, C_h, h, w), F_h, computed or propagated
        :param detail: of :meth:`low_and_detail` of the frame
        :return: (B, classes, H, W) of the size of the detail; without a detail head the logits
        """
        if self.detail_head is None:
            return logits
        return self.detail_head(logits, high, detail)

    def logits(self, high: torch.Tensor, detail: Optional[torch.Tensor]) -> torch.Tensor:
        """F_h of a frame, and its detail → the logits that its labels are made of."""
        return self.add_detail(self.classify(high), high, detail)

    def deviation(self, key_low: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
        """Predicted fraction of changed labels, (B,) float32 in [0, 1]."""
        return self.deviation_net(key_low, low)

    def embed(self, low: torch.Tensor) -> torch.Tensor:
        """The part of the kernel predictor that looks at one frame alone."""
        return self.kernel_predictor.embed(low)

    def propagate(self, key_embedding: torch.Tensor, embedding: torch.Tensor,
                  key_high: torch.Tensor, displacement: Optional[torch.Tensor] = None
                  ) -> torch.Tensor:
        """Move F_h of the key frame to the present frame.

        :param key_embedding: (B, C_e, h, w), :meth:`embed` of the key frame
        :param embedding: (B, C_e, h, w), :meth:`embed` of the frame
        :param key_high: (B, C_h, h, w), F_h of the key frame
        :param displacement: (B, 2, h, w), where the content of each position was in the key
            frame, see :func:`~lvs_ros.ops.warp.warp`; None = leave it to the kernels
        :return: (B, C_h, h, w)
        """
        if displacement is not None:
            key_embedding = self.warp(key_embedding, displacement)
            key_high = self.warp(key_high, displacement)
        return self.spatially_variant_convolution(
            key_high, self.kernel_predictor(key_embedding, embedding))

    def adapt(self, low: torch.Tensor, propagated: torch.Tensor) -> torch.Tensor:
        """Fuse propagated features with the frame's own; (B, C_h, h, w)."""
        return self.adapt_net(low, propagated)

    def upsample(self, logits: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Bilinear upsampling of logits to the (height, width) of the image they are of."""
        return upsample(logits, (height, width), content=(height, width),
                        align_corners=self.config.align_corners)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """The per-frame network: (B, 3, H, W) RGB 0..255 → logits (B, classes, H, W)."""
        low, detail = self.low_and_detail(image)
        logits = self.logits(self.high(low), detail)
        return self.upsample(logits, image.shape[-2], image.shape[-1])

    def outputs(self, image: torch.Tensor, second: torch.Tensor) -> dict[str, torch.Tensor]:
        """Run all parts as a stream of two frames does; their outputs by what to call them.

        :param image: (1, 3, H, W) uint8, RGB, 0..255; ``second``: the same
        """
        (key_low, key_detail), (low, detail) = map(self.low_and_detail, (image, second))
        embeddings = self.embed(key_low), self.embed(low)
        high = self.refine(self.high(key_low), image)
        moved = self.adapt(low, self.propagate(*embeddings, high))
        return {
            'the low features (S_l)': key_low, 'the low features (S_l) of a second image': low,
            'the high features (S_h)': high,
            'the logits (classifier)': self.logits(high, key_detail),
            'the predicted kernels': self.kernel_predictor(*embeddings),
            'the propagated features (AdaptNet)': moved,
            'the logits of propagated features (classifier)': self.logits(moved, detail),
            'the predicted deviation': self.deviation(key_low, low)}

    def segmentation_parts(self) -> list[nn.Module]:
        """S_l, S_h and the classifier: what stays frozen while the rest is trained."""
        return [self.backbone, self.head, self.classifier]

    def propagation_parts(self) -> list[nn.Module]:
        """Kernel predictor and AdaptNet, which are trained jointly."""
        return [self.kernel_predictor, self.adapt_net]
