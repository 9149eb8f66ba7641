# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs train``: trains a model in three stages: network, propagation, deviation.

A further stage, detail, adds logits at a quarter of the image. Three train what the method is
compared with: small, small_half, recurrent.
"""

import argparse
import contextlib
import dataclasses
import datetime
import pathlib
from typing import Callable, Mapping, Optional, Sequence

import torch

from lvs_ros.backends.prepare import choose_device
from lvs_ros.errors import ConfigurationError, ModelFileError
from lvs_ros.labels import comes_with_package
from lvs_ros.model import VARIANTS, SegmentationNetwork, read_notes, save_network
from lvs_ros.model.checkpoint import RIVALS_SUFFIX, load_rivals, rivals_path, save_rivals
from lvs_ros.model.digest import weights_digest
from lvs_ros.model.rivals import Rivals
from lvs_ros.model.small_network import SMALL_SHAPES
from lvs_ros.tools.interruption import interruption_noted
from lvs_ros.tools.numbers import check_positive
from lvs_ros.tools.pipeline_options import add_options
from lvs_ros.tools.train_data import add_data_arguments, data_options
from lvs_ros.training import distributed
from lvs_ros.training.data import TrainingData, load_data
from lvs_ros.training.loop import PRECISIONS, LoopOptions
from lvs_ros.training.losses import class_weights
from lvs_ros.training.sampling import Sampler
from lvs_ros.training.stages import train_stage
from lvs_ros.training.start import PARTS, starting_network
from lvs_ros.training.teacher import Teacher

STAGES = {'network': 12000, 'propagation': 4000, 'deviation': 2000}
"""The stages that make a model, with their usual numbers of steps."""
RIVAL_STAGES = {'small': 12000, 'small_half': 12000, 'recurrent': 500}
"""Those of the comparison rows small_per_frame, small_per_frame_half and grfp5 of
``lvs evaluate``.
"""
ALL_STAGES = {**STAGES, 'detail': 2000, **RIVAL_STAGES}
"""And the one that gives a trained model a detail head."""
UNLABELLED_STAGES = ('propagation', 'deviation')
"""Those that learn from the full network, and need no labels."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``lvs train``."""
    add_data_arguments(parser)
    result = parser.add_argument_group('result')
    result.add_argument('--out', type=pathlib.Path, required=True, metavar='DIR',
                        help='folder for model.safetensors, checkpoints and logs; a training '
                             'that was interrupted goes on from what is there')
    network = parser.add_argument_group('network')
    network.add_argument('--variant', choices=sorted(VARIANTS),
                         help="architecture (default: that of --init, else 'lite')")
    network.add_argument('--init', metavar='MODEL',
                         help='start from this model instead of random weights; with --variant, '
                              'the parts that fit are taken over and the others named')
    network.add_argument('--anew', nargs='+', choices=PARTS, default=[],
                         help='parts of --init to start from random weights')
    _add_training(parser.add_argument_group('training'))


def _add_training(group: argparse._ArgumentGroup) -> None:
    group.add_argument('--stages', nargs='+', choices=ALL_STAGES,
                       help='which stages to run, in this order (default: network propagation '
                            'deviation; with drives without labels the last two); detail adds '
                            'labels at a quarter of the image to a trained model; small, '
                            'small_half and recurrent train the comparison rows of '
                            "'lvs evaluate'")
    group.add_argument('--steps', nargs='+', type=int, metavar='N',
                       help='steps of each of these stages, or one number for all (default: '
                       + ', '.join(f'{name} {steps}' for name, steps
                                   in ALL_STAGES.items()) + ')')
    group.add_argument('--minutes', nargs='+', type=float, default=[0], metavar='N',
                       help='time limit of each of these stages, or one for all; 0 = none '
                            '(default: none); the learning rate reaches zero in time')
    group.add_argument('--batch-size', type=int, default=16, metavar='N',
                       help='frames, or clips, a step, over all GPUs (default: %(default)s)')
    group.add_argument('--learning-rate', type=float, default=1.5e-3, metavar='RATE',
                       help='at its highest (default: %(default)s)')
    add_options(group, 'device')    # each process of torchrun gets a GPU of its own
    group.add_argument('--precision', choices=PRECISIONS, default='auto',
                       help='default: auto, bfloat16 on a GPU that computes with it or a CPU '
                            'with AMX, else float32')
    group.add_argument('--seed', type=int, default=0, metavar='N',
                       help='of weights, batches and streets (default: %(default)s)')


def run(args: argparse.Namespace) -> int:
    """Train and write ``model.safetensors`` after each stage."""
    _check(args)
    options = data_options(args)
    stages = _stages(args.stages, without_labels=options.needs_teacher)
    args.steps = args.steps or [ALL_STAGES[stage] for stage in stages]
    _check_counts(args, stages)
    torch.manual_seed(args.seed)
    torch.backends.cudnn.benchmark = True
    device = choose_device(distributed.local_device_name(args.device))
    network = starting_network(options, init=args.init, variant=args.variant,
                               anew=args.anew).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with distributed.process_group(device):
        data = load_data(options, device, label_set=network.config.labels_as(None),
                         teacher=Teacher(network) if options.needs_teacher else None)
        if distributed.is_main():
            print(data.description, *data.told, sep='\n')
        # So far nothing has been written: whatever is wrong with the data leaves no trace.
        args.out.mkdir(parents=True, exist_ok=True)
        if 'network' in stages:
            height, width = data.size
            network.config = dataclasses.replace(network.config, image_size=(width, height))
        with interruption_noted() as is_interrupted:
            _train(args, network, data, stages, is_interrupted)
    return 0


def _train(args: argparse.Namespace, network: SegmentationNetwork, data: TrainingData,
           stages: Sequence[str], is_interrupted: Callable[[], bool]) -> None:
    # Each process draws other batches, and augments them in other ways.
    seed = args.seed + distributed.rank()
    torch.manual_seed(seed)
    weights = class_weights(data.label_sample, network.config.classes)
    sampler = Sampler(data.sources, crop=tuple(args.crop or data.size), seed=seed,
                      pasted=weights > 1)    # the rare ones
    rivals = _rivals(args, network, stages).to(sampler.device)
    for stage, steps, minutes in zip(stages, _each(args.steps, stages), _each(
            args.minutes, stages)):
        train_stage(stage, network, rivals, sampler, weights, LoopOptions(
            steps=int(steps), minutes=minutes, batch_size=distributed.share_of(args.batch_size),
            learning_rate=args.learning_rate, folder=args.out, precision=args.precision,
            should_stop=is_interrupted,
            origin=', '.join((weights_digest([network]), data.description,
                              *_own_classes(network)))))
        if distributed.is_main():
            _save(args, network, rivals, stage, _notes(args, data, stage))


def _own_classes(network: SegmentationNetwork) -> Sequence[str]:
    """Return the classes where they are the user's: a training goes on with the same ones only."""
    labels = network.config.labels
    return () if labels is None or comes_with_package(labels) else labels.names


def _save(args: argparse.Namespace, network: SegmentationNetwork, rivals: Rivals, stage: str,
          notes: Mapping[str, str]) -> None:
    path = args.out / 'model.safetensors'
    if stage not in RIVAL_STAGES:
        save_network(network, path, notes=notes)
    else:
        if not path.is_file():
            # the same network: the notes on its training stay with it
            save_network(network, path, notes=read_notes(args.init) if args.init else notes)
        path = rivals_path(path)
        save_rivals(rivals, network, path, notes=notes)
    print(f'{stage}: done, written to {path}')


def _rivals(args: argparse.Namespace, network: SegmentationNetwork, stages: Sequence[str]
            ) -> Rivals:
    path = args.out / f'model{RIVALS_SUFFIX}.safetensors'
    if path.is_file() and set(stages) & set(RIVAL_STAGES):
        with contextlib.suppress(ModelFileError):    # those of another network are of no use
            return load_rivals(path, network)    # one of the two may have been trained before
    return Rivals(network)


def _each(given: list[float], stages: Sequence[str]) -> list[float]:
    return given if len(given) == len(stages) else given * len(stages)


def _check(args: argparse.Namespace) -> None:
    check_positive(args, 'batch_size', 'street_frames', 'learning_rate')
    if args.batch_size < 2:
        # batch norm after pooling to one position has one value a channel
        raise ConfigurationError('--batch-size is 1: expected at least 2')
    if args.crop and min(args.crop) < 32:
        raise ConfigurationError(f'--crop is {args.crop[0]} {args.crop[1]}: expected at least 32 '
                                 'pixels each')
    if args.out.exists() and not args.out.is_dir():
        raise ConfigurationError(f'{args.out} exists and is not a folder; choose another --out')


def _check_counts(args: argparse.Namespace, stages: Sequence[str]) -> None:
    for name in ('steps', 'minutes'):
        given = getattr(args, name)
        if len(given) not in (1, len(stages)):
            raise ConfigurationError(
                f'--{name} has {len(given)} numbers: expected one for each of the stages '
                f'({" ".join(stages)}), or one for all')
        if min(given) < 0:
            raise ConfigurationError(f'--{name} is {min(given)}: expected 0 or more')


def _stages(asked: Optional[Sequence[str]], *, without_labels: bool) -> Sequence[str]:
    if not without_labels:
        return asked or list(STAGES)
    need_labels = [stage for stage in asked or () if stage in ('network', 'detail', *SMALL_SHAPES)]
    if need_labels:
        raise ConfigurationError(
            f'the stage {need_labels[0]} cannot be trained without labels: on --recording or with '
            '--hide-labels the full network is the teacher, and learns nothing from itself; '
            f'leave --stages away, or train {need_labels[0]} on labelled data in a run of its own')
    return asked or UNLABELLED_STAGES


def _notes(args: argparse.Namespace, data: TrainingData, stage: str) -> dict[str, str]:
    notes = {'data': data.description, 'last_stage': stage, 'steps': str(args.steps),
             'seed': str(args.seed), 'date': datetime.date.today().isoformat()}
    untrained = read_notes(args.init).get('starts_anew') if args.init else None
    if untrained and 'network' not in (args.stages or STAGES):
        notes['starts_anew'] = untrained    # an imported backbone is no teacher yet
    return notes
