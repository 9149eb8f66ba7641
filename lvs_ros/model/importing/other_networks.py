# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Networks of other kinds, told by their key names: an error can say what a file holds."""

import dataclasses
import re
from typing import Collection, Optional

from lvs_ros.errors import ModelFileError

_INSTEAD = ('expected a PSPNet or FCN on a ResNet. Import one of these, or train a network from '
            'the ResNet of torchvision that you import with --backbone-only')
_ITS_RESNET = ('its head has no counterpart here. Its ResNet can be imported with '
               '--backbone-only; head and classifier are then trained anew')
_NO_RESNET = f'it has no ResNet; {_INSTEAD}'
_DEPTH = ('it tells distances, no classes, and has no counterpart here: import a network for '
          'semantic segmentation')


@dataclasses.dataclass(frozen=True)
class OtherNetwork:
    """A kind of network that cannot become one of ours.

    :param name: what it is, and of which project
    :param advice: what to do
    :param key: pattern of a key that it has
    :param unless: pattern of a key that it does not have
    """

    name: str
    advice: str
    key: str
    unless: str = '(?!)'

    def is_in(self, names: Collection[str]) -> bool:
        """Tell whether these are its keys."""
        return (any(re.match(self.key, name) for name in names)
                and not any(re.match(self.unless, name) for name in names))


# The first that fits is taken.
_OTHERS = (
    OtherNetwork('SegFormer of transformers', _NO_RESNET, r'decode_head\.linear_c\.'),
    OtherNetwork('SegFormer of transformers (its encoder)', _NO_RESNET, r'segformer\.encoder\.'),
    OtherNetwork('SegFormer of mmsegmentation', _NO_RESNET, r'decode_head\.fusion_conv\.'),
    OtherNetwork('Mask2Former or OneFormer of transformers', _NO_RESNET,
                 r'(model\.)?pixel_level_module\.'),
    OtherNetwork('UperNet of transformers', _NO_RESNET, r'decode_head\.fpn_convs\.',
                 r'decode_head\.conv_seg\.|backbone\.layer1\.'),
    OtherNetwork('a ResNet of transformers', 'import the same network of torchvision or timm',
                 r'(resnet\.)?(embedder\.embedder|encoder\.stages\.0)\.'),
    OtherNetwork('GLPN of transformers, for depth', _DEPTH, r'glpn\.'),
    OtherNetwork('DPT of transformers, for segmentation', _NO_RESNET, r'dpt\.',
                 r'head\.head\.2\.weight'),
    OtherNetwork('DPT of transformers, for depth', _DEPTH, r'dpt\.'),
    OtherNetwork('Depth Anything', _DEPTH, r'depth_head\.|neck\.reassemble_stage\.'),
    OtherNetwork('MiDaS or DPT, for depth', _DEPTH, r'scratch\.(refinenet1|output_conv)\.'),
    OtherNetwork('Monodepth2', _DEPTH, r'decoder\.\d+\.conv\.conv\.|.*\.dispconv'),
    OtherNetwork('a network for depth in the manner of mmsegmentation', _DEPTH,
                 r'decode_head\.conv_depth\.'),
    OtherNetwork('DeepLabV3+ of mmsegmentation', _ITS_RESNET, r'decode_head\.c1_bottleneck\.'),
    OtherNetwork('DeepLabV3 of mmsegmentation', _ITS_RESNET, r'decode_head\.aspp_modules\.'),
    OtherNetwork('UPerNet of mmsegmentation', _ITS_RESNET, r'decode_head\.fpn_convs\.'),
    OtherNetwork('OCRNet, PointRend or another cascade of mmsegmentation', _ITS_RESNET,
                 r'decode_head\.\d+\.'),
    OtherNetwork('DeepLabV3 of torchvision', _ITS_RESNET, r'classifier\.0\.convs\.'),
    OtherNetwork('LR-ASPP of torchvision', _NO_RESNET, r'classifier\.cbr\.'),
    OtherNetwork('a network of segmentation_models_pytorch',
                 f'its decoder has no counterpart here; {_INSTEAD}', r'segmentation_head\.'),
    OtherNetwork('YOLO of Ultralytics', _NO_RESNET, r'0\.conv\.weight'),
    OtherNetwork('a Swin Transformer', _NO_RESNET, r'.*relative_position_bias_table'),
    OtherNetwork('HRNet', _NO_RESNET, r'.*stage2\.0\.(branches|fuse_layers)\.'),
    OtherNetwork('ConvNeXt', _NO_RESNET, r'.*(downsample_layers\.0\.0\.|\.dwconv\.|conv_dw\.)'),
    OtherNetwork('a Vision Transformer', _NO_RESNET,
                 r'.*(pos_embed$|cls_token$|patch_embed\w*\.|position_embeddings)'),
)


def refuse_other_networks(names: Collection[str], path: object, *, backbone_only: bool) -> None:
    """Refuse networks of other kinds by their names.

    :param names: keys
    :param path: of the file, for the message
    :param backbone_only: take those whose ResNet is wanted alone
    :raises ModelFileError: saying what it is, and what to do.
    """
    network: Optional[OtherNetwork] = next((one for one in _OTHERS if one.is_in(names)), None)
    if network is None:
        return
    has_resnet = any(re.fullmatch(r'(backbone\.)?layer1\.0\.conv1\.weight', one) for one in names)
    if has_resnet and backbone_only:
        return
    advice = _ITS_RESNET if has_resnet and network.advice is not _DEPTH else network.advice
    if not has_resnet and advice is _ITS_RESNET:
        advice = _NO_RESNET
    raise ModelFileError(f'{path}: is {network.name}: {advice}')


def refuse_other_resnets(shapes: dict[str, tuple[int, ...]], backbone: str, path: object) -> None:
    """Refuse ResNets whose blocks are of another kind.

    :param shapes: of the tensors, by name
    :param backbone: prefix of the keys of the ResNet
    :raises ModelFileError: saying what it is, and what to do.
    """
    block = f'{backbone}layer1.0.'
    first, second, third = (shapes.get(f'{block}conv{number}.weight', ()) for number in (1, 2, 3))
    kind = ''
    if any(re.match(re.escape(block) + r'(se|fc1|attn)\.', name) for name in shapes):
        kind = 'a ResNet with attention to channels (SE-ResNet or the like)'
    elif f'{block}conv2.fc1.weight' in shapes or f'{block}conv2.conv.weight' in shapes:
        kind = 'a ResNeSt'
    elif f'{block}convs.0.weight' in shapes:
        kind = 'a Res2Net'
    elif any(re.match(re.escape(block) + r'downsample\.(1\.weight|1\.conv)', name)
             and len(shapes[name]) == 4 for name in shapes):
        kind = 'a ResNet-D (it averages in its shortcuts)'
    elif len(first) == len(second) == 4 and second[1] != first[0] and first[0] % second[1] == 0:
        kind = f'a grouped ResNet (ResNeXt or RegNet, {first[0] // second[1]} groups)'
    elif len(first) == len(third) == 4 and third[0] != 4 * first[0]:
        kind = (f'a wide ResNet: its bottlenecks have {first[0]} channels inside for {third[0]} '
                f'outside, a plain one {third[0] // 4}')
    if kind:
        raise ModelFileError(
            f'{path}: is {kind}. Only plain ResNets fit: import a resnet18, 34, 50 or 101 of '
            'torchvision, or a network on one')
