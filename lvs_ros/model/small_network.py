# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A small network for every frame: what the method is measured against. No part of the node.

A strided ResNet with pyramid pooling, and a decoder that goes back up to a quarter of the image by
way of the earlier stages (Lin et al., "Feature pyramid networks", CVPR 2017). It shares nothing
with the network that it is compared with.
"""

import dataclasses
from typing import Mapping, Sequence, cast

import torch
from torch import nn

from lvs_ros.model.config import ModelConfig
from lvs_ros.model.network import SegmentationNetwork
from lvs_ros.model.normalisation import Normalisation
from lvs_ros.model.resnet import BasicBlock, conv_bn_relu
from lvs_ros.ops.label_map import LabelMap
from lvs_ros.ops.resampling import average_pool, interpolate


@dataclasses.dataclass(frozen=True)
class SmallShape:
    """How large a :class:`SmallNetwork` is.

    :param widths: channels at 1/4, 1/8, 1/16 and 1/32 of the image
    :param blocks: residual blocks there
    :param decoder: channels of the decoder at 1/16 and 1/8
    :param last: and at 1/4, which the classifier sees
    """

    widths: tuple[int, int, int, int]
    blocks: tuple[int, int, int, int]
    decoder: int
    last: int


# Chosen by running them with the native kernels beside a frame of lite_camvid (S_l, propagation,
# AdaptNet, classifier): all of its time, and half of it.
SMALL_SHAPES: Mapping[str, SmallShape] = {
    'small': SmallShape((32, 56, 112, 224), (2, 2, 3, 2), decoder=64, last=32),
    'small_half': SmallShape((16, 48, 96, 192), (1, 2, 2, 1), decoder=48, last=16),
}
"""The sizes, by the names of their stages of training."""


class StridedResNet(nn.Module):
    """The encoder; its parameters have the names of those in a
    :class:`~lvs_ros.model.resnet.SplitResNet`.
    """

    def __init__(self, shape: SmallShape) -> None:
        super().__init__()
        channels = shape.widths[0]
        self.stem: nn.Module = nn.Sequential(
            *conv_bn_relu(3, channels, 7, stride=2), nn.MaxPool2d(3, stride=2, padding=1))
        for number, (width, count) in enumerate(zip(shape.widths, shape.blocks), start=1):
            blocks = []
            for index in range(count):
                stride = 2 if number > 1 and index == 0 else 1
                blocks.append(BasicBlock(channels, width, stride=stride, dilations=(1, 1)))
                channels = width
            self.add_module(f'layer{number}', nn.Sequential(*blocks))

    def stage(self, number: int) -> nn.Sequential:
        """The residual blocks of stage 1..4."""
        return cast(nn.Sequential, getattr(self, f'layer{number}'))

    def high_blocks(self) -> list[nn.Module]:
        """Those of S_h: none."""
        return []

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Normalised image (B, 3, H, W) → features at 1/4, 1/8, 1/16 and 1/32 of it."""
        x, features = self.stem(image), []
        for number in range(1, 5):
            x = self.stage(number)(x)
            features.append(x)
        return features


class Decoder(nn.Module):
    """Pyramid pooling at 1/32, and the way back up to 1/4."""

    bins = (1, 3)    # sides of what is pooled to

    def __init__(self, shape: SmallShape, *, align_corners: bool) -> None:
        super().__init__()
        self.align_corners = align_corners
        quarter, eighth, sixteenth, deepest = shape.widths
        self.pools = nn.ModuleList(conv_bn_relu(deepest, shape.decoder, 1) for _ in self.bins)
        self.deepest = conv_bn_relu(deepest, shape.decoder, 1)
        self.sixteenth = conv_bn_relu(sixteenth, shape.decoder, 1)
        self.eighth = conv_bn_relu(eighth, shape.decoder, 1)
        self.fuse_eighth = conv_bn_relu(shape.decoder, shape.decoder, 3)
        self.reduce = conv_bn_relu(shape.decoder, shape.last, 1)
        self.quarter = conv_bn_relu(quarter, shape.last, 1)
        self.fuse_quarter = conv_bn_relu(shape.last, shape.last, 3)

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """What the encoder returns → (B, last, H/4, W/4)."""
        quarter, eighth, sixteenth, deepest = features
        x = self.deepest(deepest)
        for size, reduce in zip(self.bins, self.pools):
            x = x + self._enlarged(reduce(average_pool(deepest, size)), deepest)
        x = self._enlarged(x, sixteenth) + self.sixteenth(sixteenth)
        x = self.fuse_eighth(self._enlarged(x, eighth) + self.eighth(eighth))
        x = self._enlarged(self.reduce(x), quarter) + self.quarter(quarter)
        return self.fuse_quarter(x)

    def _enlarged(self, x: torch.Tensor, to: torch.Tensor) -> torch.Tensor:
        return interpolate(x, *to.shape[2:], align_corners=self.align_corners)


class SmallNetwork(SegmentationNetwork):
    """A small network in the place of S_l. There is no S_h, and nothing that propagates.

    :param config: of the network that it is compared with: classes, normalisation
    :param shape: its size
    """

    def __init__(self, config: ModelConfig, shape: SmallShape) -> None:
        nn.Module.__init__(self)
        self.config = config
        self.fallbacks = []
        self.normalise = Normalisation(config.mean, config.std)
        self.backbone = StridedResNet(shape)  # type: ignore[assignment]
        self.head = Decoder(shape, align_corners=config.align_corners)  # type: ignore[assignment]
        self.dropout = nn.Identity()  # type: ignore[assignment]
        self.classifier = nn.Conv2d(shape.last, config.classes, 1)
        self.detail_head = None
        self.label_map = LabelMap(align_corners=config.align_corners)

    def low(self, image: torch.Tensor) -> torch.Tensor:
        """All but the classifier: (B, 3, H, W) RGB 0..255 → (B, last, H/4, W/4)."""
        return self.head(self.backbone(self.normalise(self.pad(image))))

    def low_and_detail(self, image: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Return what :meth:`low` does: there is no detail head."""
        return self.low(image), None

    def high(self, low: torch.Tensor) -> torch.Tensor:
        """Return the features as they are."""
        return low

    def deviation(self, key_low: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
        """Return zeros, (B,): each frame is computed, no schedule asks what has changed."""
        return low.new_zeros(len(low))

    def outputs(self, image: torch.Tensor, second: torch.Tensor) -> dict[str, torch.Tensor]:
        """See :meth:`lvs_ros.model.network.SegmentationNetwork.outputs`."""
        low = self.low(image)
        return {'the features': low, 'the logits (classifier)': self.classify(low)}

    @torch.no_grad()
    def begin_from(self, network: SegmentationNetwork) -> None:
        """Take over what fits of the weights of another ResNet, where widths differ a part.

        A dilated convolution at an eighth of the image is the same function as a plain one at a
        sixteenth, seen at every second position. Training goes on with all of them.
        """
        known = network.backbone.state_dict()
        for name, value in self.backbone.state_dict().items():
            if name in known and value.ndim:
                source = known[name].to(value)
                common = tuple(map(min, value.shape, source.shape))
                if value.ndim == 4:    # what is new does not disturb what is known
                    value[:common[0], common[1]:] = 0
                inside = tuple(map(slice, common))
                value[inside] = source[inside]
