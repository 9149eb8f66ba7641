# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Small networks whose state dictionaries have the key names of other projects.

Written from the papers and the projects' documentation, apart from lvs_ros.model: they tell what
an imported checkpoint is to compute.
"""

import dataclasses
from typing import Sequence

import torch
from torch import nn
from torch.nn import functional

MEAN = torch.tensor([123.675, 116.28, 103.53]).view(1, 3, 1, 1)
STD = torch.tensor([58.395, 57.12, 57.375]).view(1, 3, 1, 1)

Dilations = tuple[Sequence[int], ...]


@dataclasses.dataclass(frozen=True)
class Stages:
    """How the four stages see their surroundings.

    :param strides: of the first block of each stage
    :param first: dilation of the first 3x3 convolution, one list a stage, one number a block
    :param second: dilation of the second one, in basic blocks
    """

    strides: tuple[int, int, int, int]
    first: Dilations
    second: Dilations


ONES18: Dilations = ([1, 1], [1, 1], [1, 1], [1, 1])
ONES50: Dilations = ([1] * 3, [1] * 4, [1] * 6, [1] * 3)
MM18 = Stages((1, 2, 1, 1), ([1, 1], [1, 1], [1, 2], [2, 4]), ONES18)
MM50 = Stages((1, 2, 1, 1), ([1] * 3, [1] * 4, [1, 2, 2, 2, 2, 2], [2, 4, 4]), ONES50)
SEMSEG50 = Stages((1, 2, 1, 1), ([1] * 3, [1] * 4, [2] * 6, [4] * 3), ONES50)
CLASSIFIER18 = Stages((1, 2, 2, 2), ONES18, ONES18)
CLASSIFIER50 = Stages((1, 2, 2, 2), ONES50, ONES50)


def conv(channels_in: int, channels_out: int, size: int, stride: int = 1,
         dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, size, stride=stride, dilation=dilation,
                     padding=(size - 1) // 2 * dilation, bias=False)


class Block(nn.Module):
    """A basic block, or a bottleneck."""

    def __init__(self, before: int, width: int, stride: int, first: int, second: int,
                 bottleneck: bool) -> None:
        super().__init__()
        after = width * 4 if bottleneck else width
        self.bottleneck = bottleneck
        if bottleneck:
            self.conv1, self.conv2 = conv(before, width, 1), conv(width, width, 3, stride, first)
        else:
            self.conv1 = conv(before, width, 3, stride, first)
            self.conv2 = conv(width, width, 3, 1, second)
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        if bottleneck:
            self.conv3, self.bn3 = conv(width, after, 1), nn.BatchNorm2d(after)
        self.downsample = None
        if stride > 1 or before != after:
            self.downsample = nn.Sequential(conv(before, after, 1, stride), nn.BatchNorm2d(after))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        if self.bottleneck:
            y = self.bn3(self.conv3(torch.relu(y)))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


def add_stages(module: nn.Module, before: int, width: int, stages: Stages,
               bottleneck: bool) -> int:
    """Add layer1 to layer4; return the channels of the last."""
    for number in range(4):
        blocks = []
        for index, dilations in enumerate(zip(stages.first[number], stages.second[number])):
            blocks.append(Block(before, width, stages.strides[number] if index == 0 else 1,
                                *dilations, bottleneck))
            before = width * 4 if bottleneck else width
        module.add_module(f'layer{number + 1}', nn.Sequential(*blocks))
        width *= 2
    return before


def run_stages(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    for number in range(4):
        x = module.get_submodule(f'layer{number + 1}')(x)
    return x


def deep_stem(first: int, last: int) -> nn.Sequential:
    return nn.Sequential(
        conv(3, first, 3, 2), nn.BatchNorm2d(first), nn.ReLU(),
        conv(first, first, 3), nn.BatchNorm2d(first), nn.ReLU(),
        conv(first, last, 3), nn.BatchNorm2d(last), nn.ReLU())


def shrink(x: torch.Tensor) -> torch.Tensor:
    return functional.max_pool2d(x, 3, 2, 1)


def stretch(x: torch.Tensor, like: torch.Tensor, align_corners: bool) -> torch.Tensor:
    return functional.interpolate(x, like.shape[2:], mode='bilinear', align_corners=align_corners)


class TorchvisionResNet(nn.Module):
    """conv1, bn1, layer1 to layer4, fc; :meth:`forward` stops before the pooling."""

    def __init__(self, width: int, stages: Stages, bottleneck: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(3, width, 7, 2), nn.BatchNorm2d(width)
        self.fc = nn.Linear(add_stages(self, width, width, stages, bottleneck), 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return run_stages(self, shrink(torch.relu(self.bn1(self.conv1(x)))))


class TimmDeepResNet(nn.Module):
    """timm's variants c and s: the stem is conv1.0 to conv1.6 and bn1."""

    def __init__(self, first: int, last: int, width: int, stages: Stages) -> None:
        super().__init__()
        stem = deep_stem(first, last)
        self.conv1, self.bn1 = stem[:7], nn.BatchNorm2d(last)
        self.fc = nn.Linear(add_stages(self, last, width, stages, True), 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return run_stages(self, shrink(torch.relu(self.bn1(self.conv1(x)))))


class MmResNet(nn.Module):
    """mmsegmentation's ResNet (7x7 stem) or ResNetV1c (three 3x3 convolutions)."""

    def __init__(self, width: int, stages: Stages, bottleneck: bool, v1c: bool) -> None:
        super().__init__()
        if v1c:
            self.stem = deep_stem(width // 2, width)
        else:
            self.conv1, self.bn1 = conv(3, width, 7, 2), nn.BatchNorm2d(width)
        self.v1c = v1c
        self.channels = add_stages(self, width, width, stages, bottleneck)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x) if self.v1c else torch.relu(self.bn1(self.conv1(x)))
        return run_stages(self, shrink(x))


class ConvModule(nn.Module):
    """conv and bn, by these names, and ReLU."""

    def __init__(self, channels_in: int, channels_out: int, size: int) -> None:
        super().__init__()
        self.conv, self.bn = conv(channels_in, channels_out, size), nn.BatchNorm2d(channels_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.bn(self.conv(x)))


class MmPspHead(nn.Module):
    def __init__(self, channels: int, classes: int, align_corners: bool) -> None:
        super().__init__()
        quarter = channels // 4
        self.align_corners = align_corners
        self.psp_modules = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(bins), ConvModule(channels, quarter, 1))
            for bins in (1, 2, 3, 6))
        self.bottleneck = ConvModule(2 * channels, quarter, 3)
        self.conv_seg = nn.Conv2d(quarter, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        levels = [stretch(level(x), x, self.align_corners) for level in self.psp_modules]
        return self.conv_seg(self.bottleneck(torch.cat([x] + levels, dim=1)))


class MmFcnHead(nn.Module):
    def __init__(self, channels: int, classes: int, *, convs: int, concat: bool) -> None:
        super().__init__()
        inner = 12
        self.convs = nn.Sequential(*(
            ConvModule(channels if index == 0 else inner, inner, 3) for index in range(convs)))
        if concat:
            self.conv_cat = ConvModule(channels + inner, inner, 3)
        self.concat = concat
        self.conv_seg = nn.Conv2d(inner, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.convs(x)
        if self.concat:
            y = self.conv_cat(torch.cat([x, y], dim=1))
        return self.conv_seg(y)


class MmSegmentor(nn.Module):
    """backbone, decode_head, and an auxiliary_head that is of no use."""

    def __init__(self, backbone: MmResNet, head: nn.Module, align_corners: bool = False) -> None:
        super().__init__()
        self.backbone, self.decode_head = backbone, head
        self.auxiliary_head = MmFcnHead(backbone.channels // 2, 3, convs=1, concat=False)
        self.align_corners = align_corners

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = (image - MEAN) / STD
        return stretch(self.decode_head(self.backbone(x)), image, self.align_corners)


class Pyramid(nn.Module):
    """semseg's ppm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        quarter = channels // 4
        self.features = nn.ModuleList(nn.Sequential(
            nn.AdaptiveAvgPool2d(bins), conv(channels, quarter, 1), nn.BatchNorm2d(quarter),
            nn.ReLU()) for bins in (1, 2, 3, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x] + [stretch(level(x), x, True) for level in self.features], dim=1)


class Semseg(nn.Module):
    """hszhao/semseg's PSPNet: layer0 to layer4, ppm.features, cls, aux."""

    def __init__(self, width: int, classes: int, *, pyramid: bool) -> None:
        super().__init__()
        self.layer0 = nn.Sequential(*deep_stem(width, 2 * width), nn.MaxPool2d(3, 2, 1))
        channels = add_stages(self, 2 * width, width, SEMSEG50, True)
        self.ppm = Pyramid(channels) if pyramid else None
        channels = 2 * channels if pyramid else channels
        self.cls = nn.Sequential(
            conv(channels, 20, 3), nn.BatchNorm2d(20), nn.ReLU(), nn.Dropout2d(0.1),
            nn.Conv2d(20, classes, 1))
        self.aux = nn.Sequential(conv(8, 4, 3), nn.BatchNorm2d(4))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        # 0.485 · 255 and so on, which is what the others have, too
        x = run_stages(self, self.layer0((image - MEAN) / STD))
        return stretch(self.cls(x if self.ppm is None else self.ppm(x)), image, True)


class TorchvisionFcn(nn.Module):
    """torchvision's fcn_resnet50: backbone without fc, classifier.0, .1 and .4."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.backbone = TorchvisionResNet(width, MM50, True)    # dilated by the same pattern
        channels = self.backbone.fc.in_features
        del self.backbone.fc
        self.classifier = nn.Sequential(
            conv(channels, channels // 4, 3), nn.BatchNorm2d(channels // 4), nn.ReLU(),
            nn.Dropout(0.1), nn.Conv2d(channels // 4, classes, 1))
        self.aux_classifier = nn.Sequential(conv(4, 4, 3), nn.BatchNorm2d(4))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return stretch(self.classifier(self.backbone((image - MEAN) / STD)), image, False)


def randomise(network: nn.Module) -> nn.Module:
    """Give every layer weights that change its output, batch norms included."""
    generator = torch.Generator().manual_seed(5)

    def uniform(tensor: torch.Tensor, low: float, high: float) -> None:
        with torch.no_grad():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            uniform(module.running_mean, -0.2, 0.2)
            uniform(module.running_var, 0.5, 1.5)
            uniform(module.weight, 0.4, 1.0)
            uniform(module.bias, -0.2, 0.2)
        elif isinstance(module, nn.Conv2d):
            bound = (6 / module.weight[0].numel()) ** 0.5
            uniform(module.weight, -bound, bound)
    return network.eval()
