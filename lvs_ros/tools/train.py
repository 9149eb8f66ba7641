# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs train``: trains a model in three stages: network, propagation, deviation."""

import argparse
import datetime
import pathlib

import torch

from lvs_ros.data.camvid import CLASSES
from lvs_ros.errors import ConfigurationError
from lvs_ros.model import VARIANTS, SegmentationNetwork, load_network, save_network
from lvs_ros.pipeline.build import choose_device
from lvs_ros.training.frames import FramePool, camvid_frames, street_frames
from lvs_ros.training.loop import LoopOptions
from lvs_ros.training.losses import class_weights
from lvs_ros.training.sampling import Sampler
from lvs_ros.training.stages import train_deviation, train_network, train_propagation

STAGES = ('network', 'propagation', 'deviation')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``lvs train``."""
    parser.add_argument('--camvid', type=pathlib.Path, required=True, metavar='DIR',
                        help='folder of the CamVid training split (images/, labels/)')
    parser.add_argument('--out', type=pathlib.Path, required=True, metavar='DIR',
                        help='folder for model.safetensors, checkpoints and logs; a training '
                             'that was interrupted goes on from what is there')
    parser.add_argument('--variant', choices=sorted(VARIANTS),
                        help="architecture (default: that of --init, else 'lite')")
    parser.add_argument('--init', metavar='MODEL',
                        help='start from this model instead of random weights; with --variant, '
                             'the parts that fit are taken over and the others named')
    parser.add_argument('--stages', nargs='+', choices=STAGES, default=list(STAGES),
                        help='which stages to run, in this order (default: all)')
    parser.add_argument('--steps', nargs=3, type=int, default=[12000, 4000, 2000],
                        metavar=('N', 'P', 'D'), help='steps of the three stages '
                        '(default: 12000 4000 2000)')
    parser.add_argument('--minutes', nargs=3, type=float, default=[0, 0, 0],
                        metavar=('N', 'P', 'D'), help='time limits of the three stages, '
                        '0 = none (default: none); the learning rate reaches zero in time')
    parser.add_argument('--batch-size', type=int, default=16,
                        help='frames, or clips, a step (default: %(default)s)')
    parser.add_argument('--learning-rate', type=float, default=1.5e-3,
                        help='at its highest (default: %(default)s)')
    parser.add_argument('--crop', nargs=2, type=int, default=[360, 480],
                        metavar=('H', 'W'), help='size of the training crops (default: 360 480)')
    parser.add_argument('--street-clips', type=int, default=40,
                        help='clips of the synthetic street, each of another street; 0 = none '
                             '(default: %(default)s)')
    parser.add_argument('--street-frames', type=int, default=12,
                        help='frames of each of these clips, at 15 Hz (default: %(default)s)')
    parser.add_argument('--street-share', type=float, default=0.2,
                        help='share of the street in the batches (default: %(default)s)')
    parser.add_argument('--device', default='auto',
                        help='auto, cpu, cuda:0, … (default: auto, a GPU if there is one)')
    parser.add_argument('--seed', type=int, default=0,
                        help='of weights, batches and streets (default: %(default)s)')


def run(args: argparse.Namespace) -> int:
    """Train and write ``model.safetensors`` after each stage."""
    torch.manual_seed(args.seed)
    torch.backends.cudnn.benchmark = True
    _check(args)
    device = choose_device(args.device)
    real, street = _frames(args, device)
    sampler = Sampler(real, street, street_share=args.street_share, crop=tuple(args.crop),
                      seed=args.seed)
    weights = class_weights(real.labels, CLASSES)
    args.out.mkdir(parents=True, exist_ok=True)
    network = _network(args).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for stage in args.stages:
        index = STAGES.index(stage)
        options = LoopOptions(
            steps=args.steps[index], minutes=args.minutes[index], batch_size=args.batch_size,
            learning_rate=args.learning_rate, folder=args.out)
        if stage == 'network':
            train_network(network, sampler, weights, options)
        elif stage == 'propagation':
            train_propagation(network, sampler, weights, options)
        else:
            train_deviation(network, sampler, options)
        save_network(network, args.out / 'model.safetensors', notes=_notes(args, stage))
        print(f'{stage}: done, written to {args.out / "model.safetensors"}')
    return 0


def _check(args: argparse.Namespace) -> None:
    for name in ('batch_size', 'street_frames', 'learning_rate'):
        if not getattr(args, name) > 0:
            raise ConfigurationError(f'--{name.replace("_", "-")} is {getattr(args, name)}: '
                                     'expected more than 0')
    if args.street_clips < 0 or not 0 <= args.street_share <= 1:
        raise ConfigurationError('--street-clips must not be negative, and --street-share must '
                                 'lie between 0 and 1')
    if min(args.crop) < 32:
        raise ConfigurationError(f'--crop is {args.crop}: expected at least 32 pixels each')


def _frames(args: argparse.Namespace, device: torch.device
            ) -> tuple[FramePool, FramePool | None]:
    real = camvid_frames(args.camvid, device)
    if not args.street_clips:
        return real, None
    height, width = real.images.shape[1:3]
    print(f'{len(real)} labelled frames; rendering {args.street_clips} clips of the street')
    return real, street_frames(device, clips=args.street_clips, frames=args.street_frames,
                               width=width, height=height, seed=args.seed)


def _network(args: argparse.Namespace) -> SegmentationNetwork:
    if args.init and not args.variant:
        return load_network(args.init)
    network = SegmentationNetwork(VARIANTS[args.variant or 'lite']('camvid', CLASSES))
    if args.init:
        _take_over(network, load_network(args.init))
    return network


def _take_over(network: SegmentationNetwork, source: SegmentationNetwork) -> None:
    state, known = network.state_dict(), source.state_dict()
    fitting = {name: known[name] for name, value in state.items()
               if name in known and known[name].shape == value.shape}
    network.load_state_dict({**state, **fitting})
    anew = sorted({'.'.join(name.split('.')[:3]) for name in set(state) - set(fitting)})
    print(f'{len(fitting)} of {len(state)} tensors taken over; '
          f'these start anew: {", ".join(anew) or "none"}')


def _notes(args: argparse.Namespace, stage: str) -> dict[str, str]:
    return {'data': 'CamVid train (SegNet split) and synthetic street', 'last_stage': stage,
            'steps': str(args.steps), 'seed': str(args.seed),
            'date': datetime.date.today().isoformat()}
