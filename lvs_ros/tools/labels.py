# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs labels check``: what a labelled data set holds, before it is trained on."""

import argparse
import collections
import pathlib
import textwrap
from typing import Optional

import cv2
import numpy as np
from tqdm import tqdm

from lvs_ros.datasets.any_layout import is_cityscapes, list_labelled
from lvs_ros.datasets.listing import Listing
from lvs_ros.datasets.stored_labels import palette_of
from lvs_ros.errors import DatasetError, OutputError
from lvs_ros.labels import UNLABELLED, LabelSet, load_label_set
from lvs_ros.tables import WIDTH
from lvs_ros.training.label_statistics import describe_counts

_SHOWN = 5
_LEGEND_WIDTH, _LINE = 220, 22


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``lvs labels``."""
    actions = parser.add_subparsers(dest='action', metavar='check', required=True)
    check = actions.add_parser('check', help='count sizes and classes of a data set and show one '
                                             'labelled frame')
    check.add_argument('data', type=pathlib.Path, metavar='DATA',
                       help='a folder of images/ and labels/, the root of Cityscapes, or a .csv '
                            'or .json list (docs/data.md)')
    check.add_argument('--labels', metavar='SET',
                       help='label set, by name or as a .yaml file (default: camvid; cityscapes '
                            'for the root of Cityscapes)')
    check.add_argument('--rate', type=float, metavar='HZ', help='images a second, in order')
    check.add_argument('--split', default='train', help='of Cityscapes (default: %(default)s)')
    check.add_argument('--out', type=pathlib.Path, default=pathlib.Path('labels_check.png'),
                       metavar='PNG', help='picture to write: the frame with most classes, its '
                                           'labels in the colours of the set (default: '
                                           '%(default)s)')


def run(args: argparse.Namespace) -> int:
    """Run ``lvs labels check``."""
    if args.out.suffix.lower() != '.png':
        raise OutputError(f'--out {args.out}: expected a name that ends in .png')
    label_set = load_label_set(
        args.labels or ('cityscapes' if is_cityscapes(args.data) else 'camvid'))
    listing = list_labelled(args.data, label_set, split=args.split, rate_hz=args.rate)
    found = _Found(listing, label_set)
    for text in (*found.lines(), *listing.notes, listing.label_files.description):
        print(textwrap.fill(text, WIDTH, subsequent_indent='  '))
    print(*describe_counts(found.counts, label_set, assumed=args.labels is None), sep='\n')
    for text in found.odd:
        print(textwrap.fill(f'odd: {text}', WIDTH, subsequent_indent='  '))
    if found.shown is not None:
        _write_picture(args.out, *found.shown, label_set)
        print(f'picture of {found.shown_name} written to {args.out}')
    if found.broken:
        raise DatasetError(f'{len(found.broken)} of {len(listing.frames)} frames cannot be used; '
                           'the first: ' + '; '.join(found.broken[:_SHOWN]))
    return 0


class _Found:
    """What a pass over all labelled frames shows.

    :ivar counts: (256,) pixels of each class id
    :ivar broken: errors of frames that cannot be used
    :ivar odd: what deserves a look
    :ivar shown: image and labels of the frame with the most classes; None = there is none
    """

    def __init__(self, listing: Listing, label_set: LabelSet) -> None:
        self._listing = listing
        self.counts = np.zeros(256, np.int64)
        self.sizes: collections.Counter[str] = collections.Counter()
        self.broken: list[str] = []
        self.odd: list[str] = []
        self.shown: Optional[tuple[np.ndarray, np.ndarray]] = None
        self.shown_name = ''
        most = 0
        empty: list[str] = []
        palettes: list[str] = []
        for frame in tqdm(listing.frames, desc='checking', unit='frame', disable=None):
            try:
                image, labels = frame.load()
            except DatasetError as error:
                self.broken.append(str(error))
                continue
            self.sizes[f'{image.shape[1]}x{image.shape[0]}'] += 1
            if labels is None or frame.label_path is None:
                continue
            counts = np.bincount(labels.reshape(-1), minlength=256)
            self.counts += counts
            classes = int((counts[:UNLABELLED] > 0).sum())
            if classes > most:
                most, self.shown, self.shown_name = classes, (image, labels), frame.image_path.name
            if not classes:
                empty.append(frame.label_path.name)
            if len(palettes) < _SHOWN:
                palettes += _contradictions(frame.label_path, labels, label_set)
        if len(self.broken) == len(listing.frames):
            raise DatasetError(f'none of the {len(listing.frames)} frames can be used; the first: '
                               f'{self.broken[0]}')
        if len(self.sizes) > 1:
            self.odd.append('the images differ in size: train them with --size W H')
        if empty:
            self.odd.append(f'{len(empty)} label files have no labelled pixel, the first: '
                            f'{empty[0]}')
        self.odd += palettes[:1]

    def lines(self) -> list[str]:
        """Return counts of frames, labels, drives and sizes as text."""
        frames = self._listing.frames
        labelled = sum(frame.label_path is not None for frame in frames)
        drives = len({frame.sequence for frame in frames})
        sizes = ', '.join(f'{size} ({count})' for size, count in self.sizes.most_common(_SHOWN))
        return [f'{len(frames)} images, {labelled} labelled, {drives} drives or single frames',
                f'sizes: {sizes}' + (' and others' if len(self.sizes) > _SHOWN else '')]


def _contradictions(path: pathlib.Path, labels: np.ndarray, label_set: LabelSet) -> list[str]:
    """Say where the palette of a file shows a class in the colour of another one."""
    palette = palette_of(path)
    if palette is None or label_set.file_ids:
        return []
    owners = {colour: name for colour, name in zip(label_set.colours, label_set.names)}
    for class_id in np.unique(labels[labels < min(len(label_set), len(palette))]).tolist():
        owner = owners.get(tuple(palette[class_id].tolist()), label_set.names[class_id])
        if owner != label_set.names[class_id]:
            return [f'{path.name}: its palette shows index {class_id}, which is '
                    f'{label_set.names[class_id]!r} in the label set, in the colour of {owner!r}: '
                    'indices count; is the order of the classes right?']
    return []


def _write_picture(path: pathlib.Path, image: np.ndarray, labels: np.ndarray,
                   label_set: LabelSet) -> None:
    """Write image, labels in colours, and a legend side by side."""
    counts = np.bincount(labels.reshape(-1), minlength=256)
    rows = [(name, label_set.colours[index], counts[index])
            for index, name in enumerate(label_set.names) if counts[index]]
    rows.append(('unlabelled', (0, 0, 0), counts[UNLABELLED]))
    height = max(len(image), _LINE * len(rows) + 4)
    legend = np.full((height, _LEGEND_WIDTH, 3), 255, np.uint8)
    for index, (name, colour, count) in enumerate(rows):
        top = _LINE * index + 4
        cv2.rectangle(legend, (4, top), (20, top + 16), colour, -1)
        cv2.putText(legend, f'{name} {100 * count / labels.size:.1f} %', (26, top + 13),
                    cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    pair = np.hstack([image, label_set.colourise(labels)])
    pair = cv2.copyMakeBorder(pair, 0, height - len(pair), 0, 0, cv2.BORDER_CONSTANT)
    _, data = cv2.imencode('.png', cv2.cvtColor(np.hstack([pair, legend]), cv2.COLOR_RGB2BGR))
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise OutputError(f'--out {path}: cannot be written ({error.strerror})') from error
