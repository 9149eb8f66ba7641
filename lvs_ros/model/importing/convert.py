# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""From a foreign checkpoint to a network of ours."""

import dataclasses
import pathlib
import re
from typing import Mapping, Optional

import torch

from lvs_ros.errors import ConfigurationError, ModelFileError
from lvs_ros.labels import LabelSet
from lvs_ros.model.config import BLOCKS, BOTTLENECK, ModelConfig
from lvs_ros.model.importing.foreign_file import ForeignFile, read_foreign_file
from lvs_ros.model.importing.layouts import Layout, recognise
from lvs_ros.model.importing.other_networks import refuse_other_resnets
from lvs_ros.model.importing.settings import Overrides, Settings, find_settings
from lvs_ros.model.importing.state_dictionaries import some
from lvs_ros.model.network import SegmentationNetwork

PAPER_SPLIT = 'layer3.2'

_WITHOUT_BACKBONE = ('pyramid pooling head', 'classifier')
_ALWAYS_ANEW = ('kernel predictor', 'AdaptNet', 'deviation net')


@dataclasses.dataclass(frozen=True)
class Imported:
    """A network, and where its weights are from.

    :param network: in evaluation mode, on the CPU
    :param source: project, in words
    :param settings: what the weights do not show, and who told it
    :param taken: number of tensors that were taken over
    :param left_out: number of tensors by prefix that have no place in our network
    :param anew: the parts that have random weights
    :param weights: which weights of the file these are, in words; empty: it has no others
    """

    network: SegmentationNetwork
    source: str
    settings: Settings
    taken: int
    left_out: Mapping[str, int]
    anew: tuple[str, ...]
    weights: str = ''

    @property
    def backbone_only(self) -> bool:
        """Whether head and classifier start anew, too."""
        return self.anew != _ALWAYS_ANEW


def import_checkpoint(path: pathlib.Path, labels: LabelSet, *, split: Optional[str] = None,
                      backbone_only: bool = False, overrides: Overrides = Overrides(),
                      weights: str = 'ema', seed: int = 0) -> Imported:
    """Turn a checkpoint of another project into a network of ours.

    :param path: see :func:`~lvs_ros.model.importing.foreign_file.read_foreign_file`
    :param labels: the classes, in the order of the classifier
    :param split: last block of S_l; the paper's by default, and layer3.0 of a ResNet-18
    :param backbone_only: take over the backbone and let head and classifier start anew
    :param weights: which to take where a file has both: 'ema', the averaged ones, or 'plain'
    :param seed: of the weights of what starts anew
    :raises ModelFileError: for a file that cannot be read or does not fit, naming the keys
    :raises ConfigurationError: for another number of classes, or a split that does not exist
    """
    file = read_foreign_file(path, weights)
    layout = recognise(file.tensors, path, backbone_only=backbone_only)
    refuse_other_resnets({name: tuple(value.shape) for name, value in file.tensors.items()},
                         layout.backbone, path)
    bottleneck = f'{layout.backbone}layer1.0.conv3.weight' in file.tensors
    settings = find_settings(file, layout, overrides, bottleneck=bottleneck)
    config = _config(file, layout, settings, labels, split, bottleneck)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SegmentationNetwork(config).eval()
    state = _fitting(file, layout, network)
    if settings.bgr:
        first = 'backbone.stem.0.weight'
        state[first] = state[first].flip(1)
    network.load_state_dict({**network.state_dict(), **state})
    left_out = {prefix.rstrip('.'): count for prefix in layout.left_out
                if (count := sum(name.startswith(prefix) for name in file.tensors))}
    anew = _ALWAYS_ANEW if layout.head else _WITHOUT_BACKBONE + _ALWAYS_ANEW
    return Imported(network, layout.source, settings, len(state),
                    {**left_out, **file.left_out}, anew, file.weights)


def _config(file: ForeignFile, layout: Layout, settings: Settings, labels: LabelSet,
            split: Optional[str], bottleneck: bool) -> ModelConfig:
    backbone = _backbone(file, layout, bottleneck)
    width = _shape(file, f'{layout.backbone}layer1.0.conv1.weight')[0]
    head_channels = 2 * width * (4 if backbone in BOTTLENECK else 1)    # a quarter, as in PSPNet
    if layout.head:
        classifier = layout.foreign_name('classifier.weight') or ''
        classes, head_channels = _shape(file, classifier)[:2]
        if classes != len(labels):
            raise ConfigurationError(
                f'{file.path}: its classifier ({classifier}) has {classes} classes, the label '
                f'set {labels.name!r} has {len(labels)}: name with --labels the label set that '
                'it was trained with, or the path of a .yaml file of it; or take the backbone '
                'alone, with --backbone-only')
    return ModelConfig(
        label_set=labels.name, classes=len(labels), labels=labels, backbone=backbone,
        base_width=width, stem=_stem(file, layout, width), dilation=settings.dilation,
        split=split or ('layer3.0' if backbone == 'resnet18' else PAPER_SPLIT),
        head=layout.head or 'psp', head_channels=head_channels,
        align_corners=settings.align_corners, mean=settings.mean, std=settings.std)


def _backbone(file: ForeignFile, layout: Layout, bottleneck: bool) -> str:
    block = re.compile(rf'{re.escape(layout.backbone)}layer(\d+)\.(\d+)\.')
    found = {match.groups() for name in file.tensors if (match := block.match(name))}
    counts = tuple(sum(stage == number for stage, _ in found) for number in '1234')
    for name, blocks in BLOCKS.items():
        if blocks == counts and (name in BOTTLENECK) == bottleneck:
            return name
    kind = 'bottlenecks' if bottleneck else 'basic blocks'
    raise ModelFileError(f'{file.path}: its backbone has {counts} {kind} in its stages; expected '
                         f'one of {", ".join(sorted(BLOCKS))}')


def _stem(file: ForeignFile, layout: Layout, width: int) -> str:
    third = layout.foreign_name('backbone.stem.6.weight') or ''
    if third not in file.tensors:
        return 'conv7'
    return 'conv3' if _shape(file, third)[0] == width else 'conv3_wide'


def _shape(file: ForeignFile, name: str) -> tuple[int, ...]:
    if name not in file.tensors or file.tensors[name].dim() != 4:
        raise ModelFileError(f'{file.path}: {name} is missing, or not the weight of a '
                             'convolution; was the file cut down?')
    return tuple(file.tensors[name].shape)


def _fitting(file: ForeignFile, layout: Layout, network: SegmentationNetwork
             ) -> dict[str, torch.Tensor]:
    """Return the weights under our names; every key must be known and have the right shape."""
    state = network.state_dict()
    ours = {theirs: name for name in state
            if (theirs := layout.foreign_name(name)) and not _counts_batches(name)}
    expected = {theirs: state[name].shape for theirs, name in ours.items()}
    found = {name: value for name, value in file.tensors.items()
             if not name.startswith(layout.left_out) and not _counts_batches(name)}
    both = sorted(set(expected) & set(found))
    problems = [f'{name} (missing)' for name in sorted(set(expected) - set(found))]
    problems += [f'{name} (unknown)' for name in sorted(set(found) - set(expected))]
    problems += [f'{name} (shape {tuple(found[name].shape)} instead of {tuple(expected[name])})'
                 for name in both if found[name].shape != expected[name]]
    problems += [f'{name} (type {found[name].dtype})' for name in both
                 if not found[name].is_floating_point()]
    problems += [f'{name} (not finite)' for name in both
                 if not bool(torch.isfinite(found[name].float()).all())]
    if problems:
        config = network.config
        raise ModelFileError(
            f'{file.path}: looks like {layout.source} with {config.backbone}, stem '
            f'{config.stem}, but these keys do not fit: {some(problems)}. Only plain ResNets do: '
            'no groups, other widths, squeeze-and-excitation, group norm or average pooling in '
            'the shortcuts' + ('; if it is the head, import the backbone with --backbone-only'
                               if layout.head else ''))
    return {ours[theirs]: value.float() for theirs, value in found.items()}


def _counts_batches(name: str) -> bool:
    return name.endswith('num_batches_tracked')
