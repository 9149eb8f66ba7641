# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The options that every tool has that runs a pipeline."""

import argparse

from lvs_ros.pipeline import PipelineOptions
from lvs_ros.tools.image_size import image_size


def add_pipeline_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    defaults = PipelineOptions()
    parser.add_argument('--model', default=defaults.model,
                        help='name of a model that comes with lvs_ros, or path of a .safetensors '
                             'file (default: %(default)s)')
    parser.add_argument('--threshold', type=float, default=defaults.threshold,
                        help='predicted deviation, 0..1, above which a frame becomes a key frame '
                             '(default: %(default)s)')
    parser.add_argument('--fixed-interval', metavar='FRAMES', type=int,
                        default=defaults.fixed_interval,
                        help='distance of the key frames of the fixed schedule (default: '
                             '%(default)s)')
    parser.add_argument('--max-key-age-frames', metavar='FRAMES', type=int,
                        default=defaults.max_key_age_frames,
                        help='a key frame at the latest after so many frames; 0: no limit '
                             '(default: %(default)s)')
    parser.add_argument('--device', default=defaults.device,
                        help='auto, cpu, cuda:0, … (default: %(default)s)')
    parser.add_argument('--precision', default=defaults.precision,
                        help='auto, float32, float16 or bfloat16 (default: %(default)s)')
    parser.add_argument('--inference-size', metavar='WxH', type=image_size, default=(0, 0),
                        help="size the network runs at (default: the images' own)")


def pipeline_options(args: argparse.Namespace, **others: object) -> PipelineOptions:
    """Return the options that were given.

    :param others: those that are not among the arguments
    """
    return PipelineOptions(
        model=args.model, threshold=args.threshold, fixed_interval=args.fixed_interval,
        max_key_age_frames=args.max_key_age_frames, device=args.device,
        precision=args.precision, inference_size=args.inference_size,
        **others)  # type: ignore[arg-type]
