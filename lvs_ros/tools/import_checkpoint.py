# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs import-checkpoint``: weights of other projects as a model file of ours."""

import argparse
import os
import pathlib

from lvs_ros.errors import ConfigurationError, OutputError
from lvs_ros.labels import LabelSet, load_label_set
from lvs_ros.model import save_network
from lvs_ros.model.config import DILATIONS
from lvs_ros.model.importing import Imported, Overrides, import_checkpoint


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``lvs import-checkpoint``."""
    parser.add_argument('file', type=pathlib.Path, metavar='FILE',
                        help='PSPNet or FCN of mmsegmentation or hszhao/semseg, ResNet of '
                             'torchvision or timm (.pth, .pt or .safetensors)')
    parser.add_argument('--out', type=pathlib.Path, required=True, metavar='MODEL.safetensors',
                        help='model file to write')
    parser.add_argument('--labels', default='cityscapes', metavar='SET',
                        help='label set of its classes: cityscapes, camvid, or the path of a '
                             '.yaml file (default: %(default)s)')
    parser.add_argument('--split', metavar='BLOCK',
                        help='last block of the fast part (default: layer3.2, as in the paper; '
                             'layer3.0 of a ResNet-18)')
    parser.add_argument('--backbone-only', action='store_true',
                        help='take over the ResNet and let head and classifier start anew')
    parser.add_argument('--weights', choices=('ema', 'plain'), default='ema',
                        help='which to take of a file that has both: those averaged over the '
                             'training, which are what is usually evaluated, or the last ones '
                             '(default: %(default)s)')
    said = parser.add_argument_group(
        'what the weights do not show',
        'Found in the configuration in or beside the file, else what its project does by '
        'default. It is printed; correct it here.')
    said.add_argument('--align-corners', choices=('yes', 'no'),
                      help='how logits and pooled features are upsampled')
    said.add_argument('--dilation', choices=DILATIONS,
                      help='pattern in the last two stages; see docs/import.md')
    said.add_argument('--mean', nargs=3, type=float, metavar=('R', 'G', 'B'),
                      help='taken off the image, which has 0..255')
    said.add_argument('--std', nargs=3, type=float, metavar=('R', 'G', 'B'),
                      help='the image is divided by')


def run(args: argparse.Namespace) -> int:
    """Import, write the model file and say what to do next."""
    if args.out.suffix != '.safetensors':
        raise ConfigurationError(f'--out {args.out}: expected a name that ends in .safetensors')
    if os.path.realpath(args.out) == os.path.realpath(args.file):
        raise ConfigurationError(f'--out {args.out}: is the file to import; name another one')
    labels = load_label_set(args.labels)
    overrides = Overrides(
        dilation=args.dilation,
        align_corners=None if args.align_corners is None else args.align_corners == 'yes',
        mean=args.mean and tuple(args.mean), std=args.std and tuple(args.std))
    imported = import_checkpoint(args.file, labels, split=args.split, overrides=overrides,
                                 backbone_only=args.backbone_only, weights=args.weights)
    notes = {'imported_from': args.file.name, 'source': imported.source,
             'settings_from': imported.settings.told_by, 'starts_anew': ', '.join(imported.anew)}
    try:
        # not halved: the network is to compute what it computed where it comes from
        save_network(imported.network, args.out, half=False, notes=notes)
    except OSError as error:
        raise OutputError(f'--out {args.out}: cannot be written ({error.strerror})') from error
    stages = ('network ' if imported.backbone_only else '') + 'propagation deviation'
    print(*_report(args.file, imported, labels),
          f'written to {args.out}; train what starts anew with',
          f'  lvs train --init {args.out} --stages {stages} …', sep='\n')
    return 0


def _report(file: pathlib.Path, imported: Imported, labels: LabelSet) -> list[str]:
    config = imported.network.config
    left_out = ', '.join(f'{name} ({count})' for name, count in imported.left_out.items())
    lines = [
        f'{file}: {imported.source}, {config.backbone} of width {config.base_width}, '
        f'stem {config.stem}' + ('' if imported.backbone_only else
                                 f', head {config.head}, {config.classes} classes'),
        f'  dilation {config.dilation}, align_corners {config.align_corners}, mean '
        f'{_numbers(config.mean)}, std {_numbers(config.std)}: {imported.settings.told_by}',
        f'  taken over: {imported.taken} tensors; left out: {left_out or "none"}',
        f'  start anew, with random weights: {", ".join(imported.anew)}']
    if imported.weights:
        lines.append(f'  weights: {imported.weights}')
    if imported.settings.bgr:
        lines.insert(2, '  trained on BGR images: the first convolution was turned to RGB')
    other = [] if imported.backbone_only else [
        f'{index} is {theirs!r} there and {ours!r} in {labels.name}' for index, (theirs, ours)
        in enumerate(zip(imported.settings.class_names, labels.names))
        if _plain(theirs) != _plain(ours)]
    if other:
        lines.append('  WARNING: the classes have other names: ' + '; '.join(other[:5])
                     + (f' and {len(other) - 5} more' if len(other) > 5 else ''))
    return lines


def _numbers(values: tuple[float, float, float]) -> str:
    return '(' + ', '.join(f'{value:g}' for value in values) + ')'


def _plain(name: str) -> str:
    return ''.join(letter for letter in name.lower() if letter.isalnum())
