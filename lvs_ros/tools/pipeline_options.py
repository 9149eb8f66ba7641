# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The options that every tool has that runs a pipeline."""

import argparse
from typing import Any

from lvs_ros.pipeline import PipelineOptions
from lvs_ros.pipeline.threads import CPU_SHARING, SLOW_POLICIES

_NAMES = ('model', 'threshold', 'fixed_interval', 'max_key_age_frames', 'device', 'precision',
          'inference_size', 'cpu_sharing', 'fast_threads', 'slow_threads', 'bind_threads',
          'realtime_priority', 'rehearse', 'mirror', 'slow_policy')
_DEFAULTS = PipelineOptions()


def add_pipeline_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare those of model, schedule and device."""
    add_model_argument(parser)
    add_threshold_argument(parser)
    parser.add_argument('--fixed-interval', metavar='FRAMES', type=int,
                        default=_DEFAULTS.fixed_interval,
                        help='distance of the key frames of the fixed schedule (default: '
                             '%(default)s)')
    add_max_key_age_argument(parser)
    add_device_arguments(parser)


def add_model_argument(parser: argparse._ActionsContainer) -> None:
    """Declare --model."""
    parser.add_argument('--model', default=_DEFAULTS.model,
                        help='name of a model that comes with lvs_ros, or path of a .safetensors '
                             'file (default: %(default)s)')


def add_threshold_argument(parser: argparse.ArgumentParser) -> None:
    """Declare --threshold."""
    parser.add_argument('--threshold', type=float, default=_DEFAULTS.threshold,
                        help='predicted deviation, 0..1, above which a frame becomes a key frame '
                             '(default: %(default)s)')


def add_max_key_age_argument(parser: argparse.ArgumentParser) -> None:
    """Declare --max-key-age-frames."""
    parser.add_argument('--max-key-age-frames', metavar='FRAMES', type=int,
                        default=_DEFAULTS.max_key_age_frames,
                        help='a key frame at the latest after so many frames; 0: no limit '
                             '(default: %(default)s)')


def add_device_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where and how exactly the network runs."""
    parser.add_argument('--device', default=_DEFAULTS.device,
                        help='auto, cpu, cuda:0, … (default: %(default)s)')
    parser.add_argument('--precision', default=_DEFAULTS.precision,
                        help='auto, float32, float16 or bfloat16 (default: %(default)s)')
    parser.add_argument('--mirror', action=argparse.BooleanOptionalAction,
                        default=_DEFAULTS.mirror,
                        help="S_h sees each key frame's mirror image, too (default: yes)")
    parser.add_argument('--inference-size', metavar='SIZE', default=_DEFAULTS.inference_size,
                        help='size at which the network sees the images: auto (at most that of '
                             "the model's training images), image (their own) or WxH (default: "
                             '%(default)s)')


def add_thread_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how frames and S_h share a CPU: the node's parameters of the same names."""
    parser.add_argument('--cpu-sharing', choices=CPU_SHARING, default=_DEFAULTS.cpu_sharing,
                        help='frames and S_h use all cores in turn, or each its own side by side '
                             '(default: %(default)s, by the number of cores)')
    parser.add_argument('--fast-threads', metavar='N', type=int, default=_DEFAULTS.fast_threads,
                        help='CPU threads of a frame (default: %(default)s, automatic)')
    parser.add_argument('--slow-threads', metavar='N', type=int, default=_DEFAULTS.slow_threads,
                        help='CPU threads of S_h (default: %(default)s, automatic)')
    parser.add_argument('--bind-threads', action=argparse.BooleanOptionalAction,
                        default=_DEFAULTS.bind_threads,
                        help='in turns on all cores, each thread keeps to a core of its own '
                             '(default: yes)')
    parser.add_argument('--realtime-priority', metavar='N', type=int,
                        default=_DEFAULTS.realtime_priority,
                        help='1 to 99: frames go before other programs, where the system allows '
                             'it (default: %(default)s, they do not)')
    parser.add_argument('--rehearse', action=argparse.BooleanOptionalAction,
                        default=_DEFAULTS.rehearse,
                        help='in turns, warm up shortly before each frame of a camera '
                             '(default: no)')
    parser.add_argument('--slow-policy', choices=SLOW_POLICIES, default=_DEFAULTS.slow_policy,
                        help='scheduling of S_h side by side (default: %(default)s)')


def pipeline_options(args: argparse.Namespace, **others: Any) -> PipelineOptions:
    """Return the options that were given.

    :param others: those that are not among the arguments, or are to replace them
    """
    given = {name: getattr(args, name) for name in _NAMES if hasattr(args, name)}
    return PipelineOptions(**{**given, **others})
