# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the weights do not show: dilation, align_corners and how images are normalised.

Weights fit without an error whatever is taken here, and the labels are wrong if it is wrong.
First come the options of the user, then the configuration in or beside the file, then what the
project does by default.
"""

import dataclasses
import re
from typing import Any, Mapping, Optional

from lvs_ros.errors import ModelFileError
from lvs_ros.model.importing.config_text import read_config_text
from lvs_ros.model.importing.foreign_file import ForeignFile
from lvs_ros.model.importing.layouts import Layout

Triple = tuple[float, float, float]

IMAGENET_MEAN: Triple = (123.675, 116.28, 103.53)
IMAGENET_STD: Triple = (58.395, 57.12, 57.375)

_TIMM_ALIKE = r'(tv_|gluon_|ssl_|swsl_|ig_)?resnet\d+[cs]?(_v1[bcs])?(\..*)?'
"""Models of timm that compute what their weights show; others blur where they stride."""


@dataclasses.dataclass(frozen=True)
class Overrides:
    """What the user says; None for what the file or its project is to decide."""

    dilation: Optional[str] = None
    align_corners: Optional[bool] = None
    mean: Optional[Triple] = None
    std: Optional[Triple] = None


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the weights do not show.

    :param dilation: one of :data:`~lvs_ros.model.config.DILATIONS`
    :param mean: RGB, 0..255, as ``std``
    :param bgr: whether the first convolution expects blue first
    :param class_names: of the classifier; empty when the file does not tell
    :param told_by: where these come from, in words
    """

    dilation: str
    align_corners: bool = False
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    bgr: bool = False
    class_names: tuple[str, ...] = ()
    told_by: str = ''


def find_settings(file: ForeignFile, layout: Layout, overrides: Overrides, *,
                  bottleneck: bool) -> Settings:
    """Decide on the settings of a file.

    :param bottleneck: whether the residual blocks are bottlenecks
    :raises ModelFileError: when the file's configuration says something that our network
        cannot do.
    """
    settings = _defaults(layout, bottleneck)
    if layout.source == 'mmsegmentation':
        settings = _from_mmsegmentation(file, layout, settings, bottleneck)
    elif file.card and not layout.backbone:
        settings = _from_card(file, settings)
    said = {name: value for name, value in dataclasses.asdict(overrides).items()
            if value is not None}
    if said:
        options = ', '.join('--' + name.replace('_', '-') for name in said)
        said['told_by'] = f'{settings.told_by}, and {options}'
    return dataclasses.replace(settings, **said)


def _defaults(layout: Layout, bottleneck: bool) -> Settings:
    told_by = f'defaults of {layout.source}'
    if layout.source == 'hszhao/semseg':
        return Settings(dilation='uniform', align_corners=True, told_by=told_by)
    if layout.source == 'mmsegmentation':
        return Settings(dilation='half_first' if bottleneck else 'conv1_only', told_by=told_by)
    # Trained with strides: this pattern computes the same at every second position.
    return Settings(dilation='half_first' if bottleneck else 'half_conv1', told_by=told_by)


def _from_card(file: ForeignFile, settings: Settings) -> Settings:
    name = str(file.card['architecture'])
    if not re.fullmatch(_TIMM_ALIKE, name):
        raise ModelFileError(
            f'{file.path}: the config.json beside it calls it {name!r}, which is more than a '
            'plain ResNet; expected resnet18, 34, 50 or 101, or their variants c and s')
    shown = file.card['pretrained_cfg']
    mean, std = shown.get('mean'), shown.get('std')
    return dataclasses.replace(
        settings, told_by='the config.json beside the file',
        mean=_triple(mean, 255) or settings.mean, std=_triple(std, 255) or settings.std)


def _from_mmsegmentation(file: ForeignFile, layout: Layout, settings: Settings,
                         bottleneck: bool) -> Settings:
    settings = dataclasses.replace(settings, class_names=_class_names(file.meta))
    # the name was 'config' until mmsegmentation 0.30
    text = file.meta.get('cfg') or file.meta.get('config')
    config = read_config_text(text) if isinstance(text, str) else {}
    model = config.get('model')
    if not isinstance(model, dict) or not isinstance(model.get('backbone'), dict):
        return settings
    backbone, head = model['backbone'], _last(model.get('decode_head'))
    _refuse_other_networks(file, backbone, {} if layout.head is None else head, bottleneck)
    images = (model.get('data_preprocessor') or config.get('data_preprocessor')
              or config.get('img_norm_cfg') or {})
    bgr = not images.get('bgr_to_rgb', images.get('to_rgb', True))
    mean = _triple(images.get('mean')) or settings.mean
    std = _triple(images.get('std')) or settings.std
    return dataclasses.replace(
        settings, told_by='the configuration in the file', bgr=bgr,
        dilation=settings.dilation if backbone.get('contract_dilation') else 'uniform',
        align_corners=bool(head.get('align_corners', False)),
        mean=mean[::-1] if bgr else mean, std=std[::-1] if bgr else std)


def _refuse_other_networks(file: ForeignFile, backbone: Mapping[str, Any],
                           head: Mapping[str, Any], bottleneck: bool) -> None:
    # All of these load without an error, since the shapes of the weights are the same.
    parts = {'backbone': {'strides': (1, 2, 2, 2), 'dilations': (1, 1, 1, 1),
                          'contract_dilation': False, **backbone}, 'decode_head': head}
    expected: list[tuple[str, str, Any]] = [
        ('backbone', 'strides', (1, 2, 1, 1)), ('backbone', 'dilations', (1, 1, 2, 4)),
        ('backbone', 'dcn', None), ('backbone', 'multi_grid', None),
        ('backbone', 'avg_down', False), ('backbone', 'plugins', None),
        ('decode_head', 'pool_scales', (1, 2, 3, 6)), ('decode_head', 'dilation', 1),
        ('decode_head', 'act_cfg', {'type': 'ReLU'}), ('decode_head', 'input_transform', None),
        ('backbone', 'style', 'pytorch') if bottleneck else
        ('backbone', 'contract_dilation', True)]
    for where, name, value in expected:
        found = parts[where].get(name, value)
        if found != value:
            raise ModelFileError(
                f'{file.path}: its configuration has {where}.{name} = {found}; this network can '
                f'only do {value}')


def _class_names(meta: Mapping[str, Any]) -> tuple[str, ...]:
    shown = meta.get('dataset_meta')
    names = shown.get('classes') if isinstance(shown, Mapping) else meta.get('CLASSES')
    if isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names):
        return tuple(names)
    return ()


def _last(heads: Any) -> Mapping[str, Any]:
    if isinstance(heads, tuple) and heads:
        heads = heads[-1]
    return heads if isinstance(heads, dict) else {}


def _triple(values: Any, factor: float = 1) -> Optional[Triple]:
    if (isinstance(values, (list, tuple)) and len(values) == 3
            and all(isinstance(value, (int, float)) for value in values)):
        red, green, blue = (round(value * factor, 6) for value in values)
        return red, green, blue
    return None
