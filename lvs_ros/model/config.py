# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a network looks like: everything that its weights need to be loaded again."""

import dataclasses
import json
from typing import Any, Optional

from lvs_ros.errors import ConfigurationError
from lvs_ros.labels import LabelSet, labels_of_model, read_label_set
from lvs_ros.model.fields import (flag, instance_of, numbers, one_of, read_fields, size, text,
                                  whole)

BLOCKS = {
    'resnet18': (2, 2, 2, 2),
    'resnet34': (3, 4, 6, 3),
    'resnet50': (3, 4, 6, 3),
    'resnet101': (3, 4, 23, 3),
}
"""Residual blocks in each of the four stages."""

BOTTLENECK = ('resnet50', 'resnet101')
STEMS = ('conv7', 'conv3', 'conv3_wide')
DILATIONS = ('half_first', 'half_conv1', 'conv1_only', 'uniform')
HEADS = ('psp', 'light', 'fcn')
ALIGNMENTS = ('none', 'flow')


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The architecture of a :class:`~lvs_ros.model.network.SegmentationNetwork`.

    :param label_set: name of the label set that the classes come from
    :param classes: number of classes
    :param backbone: one of :data:`BLOCKS`
    :param base_width: channels of the first stage; 64 in the ResNet paper
    :param stem: 'conv7' (torchvision), 'conv3' (three 3x3 of half width, half width, full width:
        mmsegmentation's V1c) or 'conv3_wide' (64, 64, 128: hszhao/semseg)
    :param dilation: 'half_first': the first block of a dilated stage has half of its dilation
        (torchvision, mmsegmentation); 'uniform': all alike (hszhao/semseg). They differ in basic
        blocks only: 'half_conv1': of the first block only the first convolution (timm: what a
        network trained with strides becomes); 'conv1_only': as 'half_first', and the second
        convolution of a block is never dilated (mmsegmentation). Weights trained with one load
        into the other without an error and give wrong labels.
    :param split: last block of S_l, 'layerN.M'; the paper's is 'layer3.2' (conv4_3)
    :param head: 'psp' (pyramid pooling), 'light' (one 3x3 convolution) or 'fcn' (three, the last
        of which sees the backbone's output, too: mmsegmentation's FCN)
    :param head_channels: channels of F_h, which are propagated
    :param kernel_size: H_K, side of the predicted kernels, odd
    :param embed_channels: channels inside the kernel predictor
    :param adapt_channels: channels inside AdaptNet
    :param deviation_channels: channels inside the deviation net
    :param deviation_stride: stride of its first convolution; 1 in the paper
    :param alignment: what brings the key frame's features close to their place before the kernels
        are predicted: 'none' (the paper) or 'flow' (optical flow). The kernels are trained for it.
    :param detail_channels: channels inside the detail head, which makes logits at a quarter of the
        image; 0 = there is none, logits are at an eighth
    :param align_corners: how logits and pooled features are enlarged
    :param mean: per channel mean (RGB, 0..255) taken off the image
    :param std: per channel standard deviation (RGB, 0..255) it is divided by
    :param image_size: (width, height) of the images that it was trained on crops of; None =
        unknown
    :param labels: the label set itself; None in files of before it was stored
    """

    label_set: str = text(100)
    classes: int = whole(1, 255)    # 255 marks unlabelled pixels
    backbone: str = one_of(BLOCKS, default='resnet101')
    base_width: int = whole(1, 256, default=64)
    stem: str = one_of(STEMS, default='conv7')
    dilation: str = one_of(DILATIONS, default='half_first')
    split: str = text(20, default='layer3.2')
    head: str = one_of(HEADS, default='psp')
    head_channels: int = whole(1, 4096, default=512)
    kernel_size: int = whole(1, 31, odd=True, default=9)
    embed_channels: int = whole(1, 2048, default=256)
    adapt_channels: int = whole(1, 2048, default=256)
    deviation_channels: int = whole(1, 2048, default=256)
    deviation_stride: int = whole(1, 8, default=1)
    alignment: str = one_of(ALIGNMENTS, default='none')
    detail_channels: int = whole(0, 2048, default=0)
    align_corners: bool = flag(default=False)
    mean: tuple[float, float, float] = numbers(3, -1e4, 1e4, default=(123.675, 116.28, 103.53))
    std: tuple[float, float, float] = numbers(3, 1e-3, 1e4, default=(58.395, 57.12, 57.375))
    image_size: Optional[tuple[int, int]] = size(1, 16384, default=None)
    labels: Optional[LabelSet] = instance_of(LabelSet, 'a label set or null', default=None)

    def __post_init__(self) -> None:
        for name, value in read_fields(self, 'model').items():
            object.__setattr__(self, name, value)    # the class is frozen
        self.split_at()
        if self.labels is not None and (self.labels.name, len(self.labels)) != (
                self.label_set, self.classes):
            raise ConfigurationError(
                f'model labels are the {len(self.labels)} classes of {self.labels.name!r}: '
                f'expected the {self.classes} of {self.label_set!r}')

    def with_labels(self, labels: LabelSet) -> 'ModelConfig':
        """Return the same architecture with this label set."""
        return dataclasses.replace(self, label_set=labels.name, classes=len(labels),
                                   labels=labels)

    def labels_as(self, given: Optional[LabelSet]) -> LabelSet:
        """Return the label set, with the colours of the given one where there is one.

        :raises LabelSetError: the given one has other classes, or an older file has no set and its
            name is not known.
        """
        return labels_of_model(self.labels, self.label_set, self.classes, given)

    def split_at(self) -> tuple[int, int]:
        """Return (stage 1..4, block from 0) of the last block of S_l."""
        blocks = BLOCKS[self.backbone]
        # Stage 1 ends at a quarter of the size; F_l has the size of F_h, an eighth.
        names = [(stage + 1, block) for stage in range(1, 4) for block in range(blocks[stage])]
        for stage, block in names[:-1]:
            if self.split == f'layer{stage}.{block}':
                return stage, block
        raise ConfigurationError(
            f'model split is {self.split!r}: expected a block of {self.backbone} before its '
            f'last, from layer2.0 to layer{names[-2][0]}.{names[-2][1]}')

    def to_json(self) -> str:
        """Return all fields as a JSON object."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del fields['labels']
        if self.labels is not None:
            fields['labels'] = self.labels.content()
        return json.dumps(fields, sort_keys=True)

    @classmethod
    def from_json(cls, written: str) -> 'ModelConfig':
        """Read what :meth:`to_json` wrote.

        :raises ConfigurationError: for text of another kind, unknown or missing fields, values
            of another type or out of range.
        """
        try:
            fields: dict[str, Any] = json.loads(written)
            known = {field.name for field in dataclasses.fields(cls)}
            unknown = sorted(set(fields) - known)
            if unknown:
                raise ConfigurationError(
                    f'model configuration has unknown fields {", ".join(unknown)[:200]}: '
                    'was the file written by a newer version of lvs_ros?')
            if isinstance(fields, dict) and fields.get('labels') is not None:
                fields['labels'] = read_label_set(fields['labels'])
            return cls(**fields)
        except (ValueError, TypeError, RecursionError) as error:
            raise ConfigurationError(f'model configuration cannot be read: {error}') from error


def paper(label_set: str, classes: int) -> ModelConfig:
    """Return the network of the paper: ResNet-101, split after conv4_3, 9x9 kernels."""
    return ModelConfig(label_set=label_set, classes=classes)


def lite(label_set: str, classes: int) -> ModelConfig:
    """Return a network whose fast track two CPU cores run in real time at 480x360."""
    return ModelConfig(
        label_set=label_set, classes=classes, backbone='resnet34', base_width=28,
        split='layer2.0', head_channels=128, kernel_size=9, embed_channels=32,
        adapt_channels=96, deviation_channels=32, deviation_stride=2, alignment='flow')


def tiny(label_set: str, classes: int) -> ModelConfig:
    """Return the smallest network with all parts: for tests, no use on a road."""
    return ModelConfig(
        label_set=label_set, classes=classes, backbone='resnet18', base_width=8,
        split='layer2.0', head='light', head_channels=16, kernel_size=3, embed_channels=8,
        adapt_channels=8, deviation_channels=8, deviation_stride=2)


VARIANTS = {'paper': paper, 'lite': lite, 'tiny': tiny}
