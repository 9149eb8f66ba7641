# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Compare the adaptive schedule with as many evenly spaced key frames, on drives with a stop.

Run as ``python -m lvs_ros.tools.street_schedules``.
"""

import argparse
import math
import pathlib
from typing import Any

import numpy as np

from lvs_ros.evaluation.street_schedules import PARTS, compare
from lvs_ros.json_files import write_json
from lvs_ros.provenance import provenance
from lvs_ros.tools.pipeline_options import DEVICE, add_options, pipeline_options


def main() -> None:
    """Print each drive, and the mean difference with its standard error over the drives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seeds', type=int, nargs='+', default=list(range(9101, 9107)),
                        metavar='N', help='of the drives (default: six)')
    add_options(parser, 'model', 'threshold', 'max_key_age_frames', *DEVICE)
    parser.add_argument('--out', metavar='FILE', type=pathlib.Path,
                        help='.json file to be written as drives are finished')
    args = parser.parse_args()
    told: dict[str, Any] = {**provenance(), 'threshold': args.threshold,
                            'max_key_age_frames': args.max_key_age_frames, 'drives': []}
    differences = []
    for seed, (adaptive, even) in zip(args.seeds, compare(args.seeds, pipeline_options(args))):
        differences.append(adaptive.percent - even.percent)
        parts = {}
        for index, part in enumerate(PARTS):
            parts[part] = {
                'key_frames': {'adaptive': adaptive.key_frames[index],
                               'even': even.key_frames[index]},
                'miou': _both(adaptive.percent[index, 0], even.percent[index, 0]),
                'pixel_accuracy': _both(adaptive.percent[index, 1], even.percent[index, 1])}
            print(f'seed {seed}, {part}: key frames {adaptive.key_frames[index]} adaptive, '
                  f'{even.key_frames[index]} even; mIoU %, pixel accuracy %: '
                  f'{adaptive.percent[index].round(2)}, {even.percent[index].round(2)}',
                  flush=True)
        told['drives'].append({'seed': seed, **parts})
        if args.out is not None:
            write_json(args.out, told)
    means = np.mean(differences, 0)
    errors = np.std(differences, 0, ddof=1) / math.sqrt(len(differences))
    for part, mean, error in zip(PARTS, means, errors):
        print(f'{part}, adaptive minus even: mIoU {mean[0]:+.2f} ±{error[0]:.2f}, '
              f'pixel accuracy {mean[1]:+.2f} ±{error[1]:.2f} points')


def _both(adaptive_percent: float, even_percent: float) -> dict[str, float]:
    return {'adaptive': adaptive_percent / 100, 'even': even_percent / 100}


if __name__ == '__main__':
    main()
