# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs train``: trains a model in three stages: network, propagation, deviation.

A further stage, detail, adds logits at a quarter of the image. Three train what the method is
compared with: small, small_half, recurrent.
"""

import argparse
import contextlib
import dataclasses
import math
import pathlib
from typing import Callable, Optional, Sequence

import torch

from lvs_ros.backends.prepare import choose_device
from lvs_ros.errors import ConfigurationError, ModelFileError
from lvs_ros.labels import comes_with_package
from lvs_ros.model import VARIANTS, SegmentationNetwork, find_model, read_notes, save_network
from lvs_ros.model.checkpoint import RIVALS_SUFFIX, load_rivals, rivals_path, save_rivals
from lvs_ros.model.digest import weights_digest
from lvs_ros.model.rivals import Rivals
from lvs_ros.model.small_network import SMALL_SHAPES
from lvs_ros.tools.interruption import interruption_noted
from lvs_ros.tools.numbers import check_positive
from lvs_ros.tools.option_file import OPTION, with_option_file, write_option_file
from lvs_ros.tools.pipeline_options import add_options
from lvs_ros.tools.train_data import add_data_arguments, data_options
from lvs_ros.tools.train_notes import Notes
from lvs_ros.training import distributed
from lvs_ros.training.best import Best
from lvs_ros.training.class_weights import (BY_FREQUENCY, DEFAULT, chosen_weights,
                                            describe_weights)
from lvs_ros.training.data import TrainingData, load_data
from lvs_ros.training.held_out_clips import HeldOutClips
from lvs_ros.training.loop import PRECISIONS, LoopOptions
from lvs_ros.training.losses import root_frequency_weights
from lvs_ros.training.progress_display import LaterStage
from lvs_ros.training.sampling import Sampler
from lvs_ros.training.selection import VALIDATIONS, Validation
from lvs_ros.training.stages import Trained, train_stage
from lvs_ros.training.start import PARTS, starting_network
from lvs_ros.training.teacher import Teacher
from lvs_ros.training.validation import Validator

STAGES = {'network': 12000, 'propagation': 4000, 'deviation': 2000}
"""The stages that make a model, with their usual numbers of steps."""
RIVAL_STAGES = {'small': 12000, 'small_half': 12000, 'recurrent': 500}
"""Those of the comparison rows small_per_frame, small_per_frame_half and grfp5 of
``lvs evaluate``.
"""
ALL_STAGES = {**STAGES, 'detail': 2000, **RIVAL_STAGES}
"""And the one that gives a trained model a detail head."""
COSTS = {'network': 1.0, 'propagation': 1.5, 'deviation': 2.0, 'small': 0.5, 'small_half': 0.3,
         'recurrent': 2.0, 'detail': 0.6}
"""What a step takes, in steps of the stage network, by the passes through S_l and S_h: for the
time left, about.
"""
CONFIG, LAST = 'config.yaml', 'model.last.safetensors'
UNLABELLED_STAGES = ('propagation', 'deviation')
"""Those that learn from the full network, and need no labels."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``lvs train``."""
    add_data_arguments(parser)
    result = parser.add_argument_group('result')
    result.add_argument('--out', type=pathlib.Path, metavar='DIR',
                        help='folder for model.safetensors (the best by the held-out data, or the '
                             f'last), {LAST} (the last, where the best is another), {CONFIG}, '
                             'checkpoints and logs; a training that was interrupted goes on from '
                             'what is there')
    result.add_argument(OPTION, type=pathlib.Path, metavar='FILE',
                        help=f'read options from a YAML file ({CONFIG} of another training, or '
                             'your own: "batch-size: 8"); those of the command line win')
    network = parser.add_argument_group('network')
    network.add_argument('--variant', choices=sorted(VARIANTS),
                         help="architecture (default: that of --init, else 'lite')")
    network.add_argument('--init', metavar='MODEL',
                         help='start from this model instead of random weights; with --variant, '
                              'the parts that fit are taken over and the others named')
    network.add_argument('--anew', nargs='+', choices=PARTS, default=[],
                         help='parts of --init to start from random weights')
    _add_training(parser.add_argument_group('training'))
    parser.set_defaults(parser=parser)


def with_files(words: Sequence[str], parser: argparse.ArgumentParser) -> list[str]:
    """Read the options that are in a file, see :func:`with_option_file`."""
    return with_option_file(words, parser, displaces={
        'camvid': ('cityscapes', 'data'), 'cityscapes': ('camvid', 'data'),
        'data': ('camvid', 'cityscapes'), 'val': ('val-share', 'val-by'), 'val-share': ('val',)})


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
    group.add_argument('--validate-every', type=int, metavar='STEPS',
                       help=f'measure on the held-out data so often (default: {VALIDATIONS} times '
                            'a stage, but no more than take a sixth of the time)')
    group.add_argument('--patience', type=int, default=0, metavar='N',
                       help='end a stage after so many validations in a row that found no better '
                            'model; 0 = never (default: %(default)s)')
    group.add_argument('--batch-size', type=int, default=16, metavar='N',
                       help='frames, or clips, a step, over all GPUs (default: %(default)s)')
    group.add_argument('--learning-rate', type=float, default=1.5e-3, metavar='RATE',
                       help='at its highest (default: %(default)s)')
    group.add_argument('--class-weights', nargs='+', default=[DEFAULT], metavar='WEIGHT',
                       help=f'of the classes in the cross-entropy: {", ".join(BY_FREQUENCY)}; or '
                            'a number for each class in order; or some as name=weight, the others '
                            'have 1 (default: sqrt-frequency, within 0.4 and 4)')
    add_options(group, 'device')    # each process of torchrun gets a GPU of its own
    group.add_argument('--precision', choices=PRECISIONS, default='auto',
                       help='default: auto, bfloat16 on a GPU that computes with it or a CPU '
                            'with AMX, else float32')
    group.add_argument('--seed', type=int, default=0, metavar='N',
                       help='of weights, batches and streets (default: %(default)s)')


def run(args: argparse.Namespace) -> int:
    """Train and write ``model.safetensors`` after each stage, and at each better one."""
    _check(args)
    options = data_options(args)
    stages = _stages(args.stages, without_labels=options.needs_teacher)
    _check_counts(args, stages)
    torch.manual_seed(args.seed)
    torch.backends.cudnn.benchmark = True
    device = choose_device(distributed.local_device_name(args.device))
    network = starting_network(options, init=args.init, variant=args.variant,
                               anew=args.anew).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with distributed.process_group(device):
        label_set = network.config.labels_as(None)
        data = load_data(options, device, label_set=label_set,
                         teacher=Teacher(network) if options.needs_teacher else None)
        weights = chosen_weights(args.class_weights, label_set.names, data.class_counts)
        clips = None if data.held_out is None else HeldOutClips(data.held_out.pools)
        if distributed.is_main():
            print(*_told(data, clips, weights, label_set.names), sep='\n', flush=True)
        # So far nothing has been written: whatever is wrong with the data leaves no trace.
        args.out.mkdir(parents=True, exist_ok=True)
        if distributed.is_main():
            write_option_file(args.out / CONFIG, args, args.parser)
        args.steps = args.steps or [ALL_STAGES[stage] for stage in stages]
        if 'network' in stages:
            height, width = data.size
            network.config = dataclasses.replace(network.config, image_size=(width, height))
        validator = None if clips is None else Validator(clips, label_set.names,
                                                         weights.to(device))
        with interruption_noted() as is_interrupted:
            _train(args, network, data, stages, weights.to(device), validator, is_interrupted)
    return 0


def _told(data: TrainingData, clips: Optional[HeldOutClips], weights: torch.Tensor,
          names: Sequence[str]) -> Sequence[str]:
    """Say what is trained on, and what is not."""
    lines = [*data.told,
             f'weights of the classes: {describe_weights(weights, names)}']
    if clips is None:
        return [*lines, 'nothing is held out: the last model comes out, and nothing tells how '
                        'good it is on other frames; --val or --val-share hold some out']
    return [*lines, *clips.told,
            f'propagation and deviation are measured on {len(clips)} held-out clips: {clips.real} '
            f'in real time, {len(clips) - clips.real} of made-up motion']


def _train(args: argparse.Namespace, network: SegmentationNetwork, data: TrainingData,
           stages: Sequence[str], weights: torch.Tensor, validator: Optional[Validator],
           is_interrupted: Callable[[], bool]) -> None:
    # Each process draws other batches, and augments them in other ways.
    seed = args.seed + distributed.rank()
    torch.manual_seed(seed)
    counts = torch.from_numpy(data.class_counts[:, :network.config.classes].sum(0))
    sampler = Sampler(data.sources, crop=tuple(args.crop or data.size), seed=seed,
                      pasted=root_frequency_weights(counts).to(weights.device) > 1)    # the rare
    rivals = _rivals(args, network, stages).to(sampler.device)
    notes = Notes(args, data, weights, network.config.labels_as(None).names)
    limits = [LaterStage(int(steps), 60 * minutes or math.inf, COSTS[stage])
              for stage, steps, minutes in zip(stages, _each(args.steps, stages),
                                               _each(args.minutes, stages))]
    path = args.out / 'model.safetensors'
    # Then it must stay as it is to the end of the stage, for a training that is interrupted.
    starts_there = args.init is not None and find_model(args.init).resolve() == path.resolve()
    for index, (stage, limit) in enumerate(zip(stages, limits)):

        def on_best(best: Best) -> None:
            if stage not in RIVAL_STAGES and not starts_there:
                save_network(network, path, notes=notes.of(stage, best=best))

        trained = train_stage(stage, network, rivals, sampler, weights, LoopOptions(
            steps=limit.steps, minutes=_each(args.minutes, stages)[index],
            batch_size=distributed.share_of(args.batch_size),
            learning_rate=args.learning_rate, folder=args.out, precision=args.precision,
            should_stop=is_interrupted,
            later=[dataclasses.replace(one, cost=one.cost / limit.cost)
                   for one in limits[index + 1:]],
            origin=', '.join((weights_digest([network]), data.description,
                              *_own_classes(network),
                              *([f'held out: {data.held_out.description}']
                                if data.held_out else [])))),
            None if validator is None else Validation(
                validator.of_stage(stage, network, rivals), every=args.validate_every,
                patience=args.patience, on_best=on_best))
        if distributed.is_main():
            _save(args, network, rivals, stage, trained, notes)


def _own_classes(network: SegmentationNetwork) -> Sequence[str]:
    """Return the classes where they are the user's: a training goes on with the same ones only."""
    labels = network.config.labels
    return () if labels is None or comes_with_package(labels) else labels.names


def _save(args: argparse.Namespace, network: SegmentationNetwork, rivals: Rivals, stage: str,
          trained: Trained, notes: Notes) -> None:
    path, fitted = args.out / 'model.safetensors', trained.fitted
    notes.end(stage, fitted)
    if stage not in RIVAL_STAGES:
        save_network(network, path, notes=notes.of(stage))
        if fitted.last is not None:
            chosen = {name: value.clone() for name, value in trained.modules.state_dict().items()}
            trained.modules.load_state_dict(fitted.last)
            save_network(network, args.out / LAST, notes=notes.of(stage, is_last=True))
            trained.modules.load_state_dict(chosen)
    else:
        if not path.is_file():
            # the same network: the notes on its training stay with it
            save_network(network, path,
                         notes=read_notes(args.init) if args.init else notes.of(stage))
        path = rivals_path(path)
        save_rivals(rivals, network, path, notes=notes.of(stage))
    print(f'{stage}: done, '
          + ('the last weights ' if fitted.best is None else f'the best weights ({fitted.best}) ')
          + f'written to {path}'
          + (f', the last ones to {args.out / LAST}'
             if fitted.last is not None and stage not in RIVAL_STAGES else ''), flush=True)


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
    if args.out is None:
        raise ConfigurationError('where to write the model is not said: give --out DIR, or out in '
                                 'the file of --config')
    held_out = args.val is not None or args.val_share is not None
    if (args.patience or args.validate_every is not None) and not held_out:
        raise ConfigurationError(
            f'--{"patience" if args.patience else "validate-every"} is about the held-out data, '
            'and there is none: give --val or --val-share, too')
    if args.patience < 0:
        raise ConfigurationError(f'--patience is {args.patience}: expected 0 or more')
    check_positive(args, 'validate_every')
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
        if given is None:
            continue
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
