# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The key names by which each project stores a ResNet and the head on it."""

import dataclasses
from typing import Collection, Optional

from lvs_ros.errors import ModelFileError
from lvs_ros.model.importing.state_dictionaries import some
from lvs_ros.model.importing.other_networks import refuse_other_networks

Renames = tuple[tuple[str, str], ...]

_CONV7: Renames = (('stem.0.', 'conv1.'), ('stem.1.', 'bn1.'))
_DEEP_SEMSEG: Renames = (
    ('stem.0.', 'conv1.'), ('stem.1.', 'bn1.'), ('stem.3.', 'conv2.'), ('stem.4.', 'bn2.'),
    ('stem.6.', 'conv3.'), ('stem.7.', 'bn3.'))
_DEEP_TIMM: Renames = (('stem.7.', 'bn1.'), ('stem.', 'conv1.'))


@dataclasses.dataclass(frozen=True)
class Layout:
    """How one project names what is in a network of ours.

    :param source: the project, in words
    :param head: one of :data:`~lvs_ros.model.config.HEADS`, or None for a backbone alone
    :param backbone: prefix of the backbone's keys
    :param renames: pairs (our prefix, theirs); the first that fits is taken
    :param left_out: prefixes of what has no place in our network, such as auxiliary heads
    """

    source: str
    head: Optional[str]
    backbone: str
    renames: Renames
    left_out: tuple[str, ...]

    def foreign_name(self, name: str) -> Optional[str]:
        """Return their name of a tensor of ours; None for what they do not have."""
        for ours, theirs in self.renames:
            if name.startswith(ours):
                return theirs + name[len(ours):]
        return None


def recognise(names: Collection[str], path: object, *, backbone_only: bool = False) -> Layout:
    """Return the layout that the key names show.

    :param path: of the file, for the message
    :param backbone_only: leave the head out
    :raises ModelFileError: when it is none of those that are known.
    """
    keys = set(names)
    refuse_other_networks(keys, path, backbone_only=backbone_only)
    layout = _whole(keys, path, backbone_only)
    if not backbone_only or layout.head is None:
        return layout
    of_backbone = tuple(pair for pair in layout.renames if pair[0].startswith('backbone.'))
    of_head = {theirs.partition('.')[0] + '.' for _, theirs in layout.renames[len(of_backbone):]}
    return dataclasses.replace(layout, head=None, renames=of_backbone,
                               left_out=(*sorted(of_head), *layout.left_out))


def _whole(keys: set[str], path: object, backbone_only: bool) -> Layout:
    if any(name.startswith('decode_head.') for name in keys):
        return _mmsegmentation(keys, path, backbone_only)
    if 'layer0.0.weight' in keys:
        return _semseg(keys)
    if 'backbone.layer1.0.conv1.weight' in keys:
        if 'classifier.4.weight' not in keys:
            return _layout('mmpretrain', None, 'backbone.', _mm_stem(keys), (), ('head.',))
        head = (('head.0.', 'classifier.0.'), ('head.1.', 'classifier.1.'),
                ('classifier.', 'classifier.4.'))
        return _layout('torchvision', 'light', 'backbone.', _CONV7, head, ('aux_classifier.',))
    if 'layer1.0.conv1.weight' in keys:
        return _classifier(keys)
    raise ModelFileError(
        f'{path}: the key names are of no layout that is known ({some(sorted(keys))}); expected '
        'a PSPNet or FCN of mmsegmentation or hszhao/semseg, an FCN of torchvision, or a ResNet '
        'of torchvision, timm or mmpretrain')


def _layout(source: str, head: Optional[str], backbone: str, stem: Renames, rest: Renames,
            left_out: tuple[str, ...]) -> Layout:
    renames = tuple((f'backbone.{ours}', backbone + theirs) for ours, theirs in stem)
    return Layout(source, head, backbone, renames + (('backbone.', backbone),) + rest, left_out)


def _mm_stem(keys: set[str]) -> Renames:
    return () if 'backbone.stem.0.weight' in keys else _CONV7


def _mmsegmentation(keys: set[str], path: object, backbone_only: bool) -> Layout:
    # their ConvModule names its parts where ours numbers them
    def module(ours: str, theirs: str) -> Renames:
        return ((f'head.{ours}0.', f'decode_head.{theirs}.conv.'),
                (f'head.{ours}1.', f'decode_head.{theirs}.bn.'))

    if 'decode_head.psp_modules.0.1.conv.weight' in keys:
        head, renames = 'psp', module('bottleneck.', 'bottleneck')
        for level in range(4):
            renames += module(f'pools.{level}.', f'psp_modules.{level}.1')
    elif not backbone_only and _fcn_of_another_shape(keys):
        raise ModelFileError(
            f'{path}: is an FCN of mmsegmentation with {_fcn_of_another_shape(keys)}; expected '
            'two convolutions and conv_cat (num_convs=2, concat_input=True), or one without it. '
            'Its ResNet can be imported with --backbone-only; head and classifier are then '
            'trained anew')
    elif 'decode_head.conv_cat.conv.weight' in keys:
        head, renames = 'fcn', module('fuse.', 'conv_cat')
        for index in range(2):
            renames += module(f'convolutions.{index}.', f'convs.{index}')
    elif 'decode_head.convs.0.conv.weight' in keys or backbone_only:
        head, renames = 'light', module('', 'convs.0')
    else:
        found = sorted(name for name in keys if name.startswith('decode_head.'))
        raise ModelFileError(f'{path}: a decode head of mmsegmentation that is not known here '
                             f'({some(found)}); expected its PSPHead or FCNHead. The backbone '
                             'alone can be imported with --backbone-only')
    return _layout('mmsegmentation', head, 'backbone.', _mm_stem(keys),
                   renames + (('classifier.', 'decode_head.conv_seg.'),), ('auxiliary_head.',))


def _fcn_of_another_shape(keys: set[str]) -> str:
    """Describe the head of an FCN that has no counterpart; empty: it has one, or is no FCN."""
    count = sum(name.startswith('decode_head.convs.') and name.endswith('.conv.weight')
                for name in keys)
    joined = 'decode_head.conv_cat.conv.weight' in keys
    if (count, joined) in ((2, True), (1, False), (0, False)):
        return ''
    many = {0: 'no convolution', 1: 'one convolution'}.get(count, f'{count} convolutions')
    return f'{many} and {"a" if joined else "no"} conv_cat'


def _semseg(keys: set[str]) -> Layout:
    psp = 'ppm.features.0.1.weight' in keys
    ours = 'head.bottleneck.' if psp else 'head.'
    head: Renames = ((f'{ours}0.', 'cls.0.'), (f'{ours}1.', 'cls.1.'), ('classifier.', 'cls.4.'))
    for level in range(4 if psp else 0):
        head += ((f'head.pools.{level}.0.', f'ppm.features.{level}.1.'),
                 (f'head.pools.{level}.1.', f'ppm.features.{level}.2.'))
    return _layout('hszhao/semseg', 'psp' if psp else 'light', '', (('stem.', 'layer0.'),), head,
                   ('aux.',))


def _classifier(keys: set[str]) -> Layout:
    stem: Renames = ()
    if 'stem.0.weight' in keys:
        source = 'mmpretrain'
    elif 'conv3.weight' in keys:
        source, stem = 'hszhao/semseg (ImageNet)', _DEEP_SEMSEG
    elif 'conv1.0.weight' in keys:
        source, stem = 'timm', _DEEP_TIMM
    else:
        source, stem = 'torchvision or timm', _CONV7
    return _layout(source, None, '', stem, (), ('fc.',))
