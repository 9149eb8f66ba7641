# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs evaluate``: the rows of the paper's table, on the same frames with the same network.

On labelled data it measures accuracy; on a recording, agreement with the per-frame network.
"""

import argparse
import contextlib
import dataclasses
import pathlib
import sys
import textwrap
from typing import Iterator, Optional, Sequence

from lvs_ros.errors import ConfigurationError
from lvs_ros.evaluation.clock import RealClock, SkippingClock
from lvs_ros.evaluation.dataset import Dataset, camvid, cityscapes, listed
from lvs_ros.evaluation.evaluation import Evaluation, Plan, evaluate, frames_to_run
from lvs_ros.evaluation.footage_dataset import MOST_FRAMES, of_footage
from lvs_ros.evaluation.progress import Progress
from lvs_ros.evaluation.report import JSON, Report
from lvs_ros.evaluation.rows import ROWS
from lvs_ros.evaluation.run import REFERENCE, stated_durations
from lvs_ros.evaluation.sweep import DURATIONS_S, THRESHOLDS
from lvs_ros.evaluation.tables import notes, terminal_table, title_of
from lvs_ros.labels import LabelSet, comes_with_package, load_label_set
from lvs_ros.model.checkpoint import read_config, rivals_in, rivals_path
from lvs_ros.tables import WIDTH
from lvs_ros.tools.interruption import interrupted_once
from lvs_ros.tools.pipeline_options import (DEVICE, add_options, add_slow_delay,
                                            pipeline_options)
from lvs_ros.tools.recording_options import add_recording, add_recording_details, recording_of

PROTOCOLS = ('drive', 'offsets')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``lvs evaluate``."""
    data = parser.add_mutually_exclusive_group(required=True)
    add_recording(data, nargs='?',
                  help='drive without labels, to tell how far the rows agree with the per-frame '
                       'network: ')
    data.add_argument('--camvid', type=pathlib.Path, metavar='DIR',
                      help='folder of labelled drives in the CamVid layout (images/, labels/)')
    data.add_argument('--cityscapes', type=pathlib.Path, metavar='DIR',
                      help='root of Cityscapes (leftImg8bit, gtFine, and leftImg8bit_sequence '
                           'for the frames in between)')
    data.add_argument('--data', type=pathlib.Path, metavar='LIST',
                      help='a .csv or .json list of images, labels, times and drives '
                           '(docs/data.md)')
    add_recording_details(parser)
    parser.add_argument('--labels', metavar='SET',
                        help='label set of the labels, by name or as a .yaml file (default: the '
                             "model's own; camvid or cityscapes if it has none of its own)")
    parser.add_argument('--split', default='val',
                        help='of Cityscapes (default: %(default)s)')
    parser.add_argument('--limit', type=int, metavar='N',
                        help='take the first N frames only, for a quick look (default: all; of a '
                             f'recording {MOST_FRAMES} at most, and no more than fit into 2 GiB, '
                             'in runs spread over it)')
    parser.add_argument('--rows', nargs='+', metavar='ROW', choices=tuple(ROWS),
                        help=f'of the table: {", ".join(ROWS)} (default: all that the model has '
                             'the weights for); per_frame, which they are compared with, is '
                             'among them in any case')
    add_options(parser, 'model', 'threshold', 'fixed_interval', 'max_key_age_frames', *DEVICE)
    parser.add_argument('--rate', type=float, metavar='HZ',
                        help="let the frames arrive at this rate (default: the drive's own)")
    add_slow_delay(parser, default=None, otherwise='real time, S_h takes as long as it takes')
    parser.add_argument('--refined-mask', action='store_true',
                        help='besides, low_latency with the masks that the option of this name '
                             'publishes in place of the first ones; needs --slow-delay-s')
    parser.add_argument('--full-s', metavar='S', type=float,
                        help='with --slow-delay-s, for the streaming mIoU: let the full network '
                             'take so many seconds, and a propagated frame a quarter of it '
                             '(default: 1.2 times what S_h takes)')
    parser.add_argument('--protocol', type=_protocol, choices=PROTOCOLS, default=PROTOCOLS[0],
                        help='offsets: besides, the mIoU at each distance from the key frame, '
                             'its average and its minimum, of the rows with a fixed schedule '
                             '(default: %(default)s)')
    parser.add_argument('--sweep', nargs='+', action='append', default=[],
                        metavar=('threshold|duration', 'VALUE'),
                        help='threshold: besides, adaptive and low_latency at several thresholds, '
                             'and fixed at several intervals (default values: '
                             f'{_listed(THRESHOLDS)}). duration: streaming mIoU over what the '
                             'full network takes, in seconds, simulated (default values: '
                             f'{_listed(DURATIONS_S)})')
    parser.add_argument('--seed', type=int, default=0, metavar='N',
                        help='of the resamples for the ± (default: %(default)s)')
    parser.add_argument('--out', type=pathlib.Path, metavar='DIR',
                        help=f'folder to be written: {JSON}, tables (Markdown, CSV; by drive and '
                             'by frame, too) and pictures. It is written anew as rows are '
                             'finished: after an interruption it holds those, and says what is '
                             'missing')
    parser.add_argument('--force', action='store_true', help='replace an earlier evaluation')


def run(args: argparse.Namespace) -> int:
    """Run ``lvs evaluate``."""
    plan = _plan(args)
    if args.refined_mask and args.slow_delay_s is None:
        raise ConfigurationError('--refined-mask needs --slow-delay-s: give the duration of S_h')
    for name, is_given in (('--refined-mask', args.refined_mask),
                           ('--protocol offsets', plan.offsets)):
        if is_given and args.recording is not None:
            raise ConfigurationError(f'{name} needs labels: give labelled data in place of '
                                     f'{args.recording}')
    with interrupted_once():
        report = None if args.out is None else Report(args.out, force=args.force)
        dataset = _dataset(args)
        for text in dataset.told:
            print(textwrap.fill(text, WIDTH), file=sys.stderr)
        progress = Progress(frames_to_run(plan, dataset))
        with contextlib.closing(progress):
            evaluation = _evaluated(plan, dataset, progress, report)
        if report is not None:
            report.finish(evaluation)
    _print(evaluation)
    if report is not None:
        print(f'written to {report.path}')
    return 0


def _evaluated(plan: Plan, dataset: Dataset, progress: Progress, report: Optional[Report]
               ) -> Evaluation:
    """Measure; keep what there is after each part, and show it when this is interrupted."""
    found: list[Evaluation] = []

    def keep(evaluation: Evaluation) -> None:
        found[:] = [evaluation]
        if report is not None:
            report.write(evaluation)

    with _shown_when_interrupted(found, progress, report):
        return evaluate(plan, dataset, SkippingClock() if plan.simulated else RealClock(),
                        progress=progress, on_part=keep)


@contextlib.contextmanager
def _shown_when_interrupted(found: Sequence[Evaluation], progress: Progress,
                            report: Optional[Report]) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        progress.close()
        for evaluation in found:
            _print(evaluation)
            if report is not None:
                print(f'interrupted; {report.path} holds what there is')
        if not found:
            print(f'interrupted before the first row ({REFERENCE}) was finished: there is nothing '
                  'to show', file=sys.stderr)
        raise


def _protocol(name: str) -> str:
    if name == 'streaming':    # of earlier versions
        raise argparse.ArgumentTypeError(
            "'streaming' is called 'drive' now; the streaming mIoU is in every table")
    return name


def _plan(args: argparse.Namespace) -> Plan:
    options = pipeline_options(args)
    thresholds, durations_s = (_sweep(args.sweep, *one) for one in (
        ('threshold', THRESHOLDS, 'numbers from 0 to 1'), ('duration', DURATIONS_S, 'seconds')))
    for threshold in thresholds or ():
        dataclasses.replace(options, threshold=threshold)    # what is wrong shows now
    if args.full_s is not None and args.slow_delay_s is None:
        raise ConfigurationError('--full-s is for simulated time: give --slow-delay-s, too')
    if args.full_s is not None:
        stated_durations(options, args.slow_delay_s, args.full_s)
    for duration_s in durations_s or ():
        if not 0 < duration_s < float('inf'):
            raise ConfigurationError(f'--sweep duration {duration_s:g}: expected seconds, more '
                                     'than 0')
    return Plan(rows=_rows(args), options=options, offsets=args.protocol == 'offsets',
                thresholds=thresholds, durations_s=durations_s, seed=args.seed,
                slow_delay_s=args.slow_delay_s, full_s=args.full_s,
                refined_mask=args.refined_mask)


def _rows(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the names in the order of the table."""
    if args.rows is not None:
        return tuple(name for name in ROWS if name in args.rows)
    path = rivals_path(args.model)
    there = rivals_in(path)
    left_out = tuple(row.name for row in ROWS.values()
                     if row.rival is not None and row.rival not in there)
    if left_out:
        print(f'left out: {", ".join(left_out)}, whose weights would be in {path}',
              file=sys.stderr)
    return tuple(name for name in ROWS if name not in left_out)


def _sweep(asked: Sequence[Sequence[str]], what: str, defaults: tuple[float, ...], expected: str
           ) -> tuple[float, ...] | None:
    """Read --sweep WHAT [VALUE …]; None where it is not asked for."""
    found: set[float] = set()
    for name, *words in asked:
        if name not in ('threshold', 'duration'):
            raise ConfigurationError(f'--sweep {name}: expected "threshold" or "duration", and '
                                     'then, if you like, its values')
        try:
            found.update(() if name != what else [float(word) for word in words] or defaults)
        except ValueError as error:
            raise ConfigurationError(f'--sweep {what}: {error}; expected {expected}') from error
    return tuple(sorted(found)) or None


def _listed(values: Sequence[float]) -> str:
    return ' '.join(f'{value:g}' for value in values)


def _dataset(args: argparse.Namespace) -> Dataset:
    if args.recording is not None:
        label_set = read_config(args.model).labels_as(
            load_label_set(args.labels) if args.labels else None)
        return of_footage(recording_of(args), label_set, limit=args.limit, rate_hz=args.rate)
    label_set = _label_set(args)
    if args.data is not None:
        return listed(args.data, label_set, limit=args.limit, rate_hz=args.rate)
    if args.camvid is not None:
        return camvid(args.camvid, label_set, limit=args.limit, rate_hz=args.rate)
    return cityscapes(args.cityscapes, args.split, label_set, limit=args.limit, rate_hz=args.rate)


def _label_set(args: argparse.Namespace) -> LabelSet:
    """Return the label set of the data: the one named, the model's own, or the data set's."""
    if args.labels is not None:
        return load_label_set(args.labels)
    config = read_config(args.model)
    own = config.labels is not None and not comes_with_package(config.labels)
    if args.data is not None or (own and args.camvid is not None):
        return config.labels_as(None)
    return load_label_set('camvid' if args.camvid is not None else 'cityscapes')


def _print(evaluation: Evaluation) -> None:
    print(textwrap.fill(title_of(evaluation), WIDTH), end='\n\n')
    print(terminal_table(evaluation), end='\n\n')
    for note in notes(evaluation):
        print(textwrap.fill(note, WIDTH))
    if evaluation.pairs:
        value = evaluation.deviation_spearman
        print('Spearman of predicted and true deviation: '
              + ('not defined' if value is None else f'{value:.3f}'))
