# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs evaluate``: measures a model on labelled frames, a row for each schedule."""

import argparse
import dataclasses
import json
import os
import pathlib
from typing import Any

from tqdm import tqdm

from lvs_ros.data.camvid import list_camvid
from lvs_ros.data.drive import DriveFrame
from lvs_ros.data.metrics import ConfusionMatrix
from lvs_ros.errors import DatasetError
from lvs_ros.labels import LabelSet, load_label_set
from lvs_ros.pipeline import SCHEDULES, Frame, PipelineOptions, build_pipeline


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``lvs evaluate``."""
    parser.add_argument('--camvid', type=pathlib.Path, required=True, metavar='DIR',
                        help='folder of a labelled drive in the CamVid layout (images/, labels/)')
    parser.add_argument('--model', default=PipelineOptions.model,
                        help='name or path of the model (default: %(default)s)')
    parser.add_argument('--schedules', nargs='+', choices=SCHEDULES,
                        default=['every_frame', 'low_latency'],
                        help='rows of the table (default: every_frame low_latency)')
    parser.add_argument('--threshold', type=float, default=PipelineOptions.threshold,
                        help='deviation above which a frame becomes a key frame '
                             '(default: %(default)s)')
    parser.add_argument('--fixed-interval', type=int, default=PipelineOptions.fixed_interval,
                        help='frames from key frame to key frame of the fixed schedule '
                             '(default: %(default)s)')
    parser.add_argument('--slow-delay-s', type=float, default=PipelineOptions.slow_delay_s,
                        help='simulated duration of S_h, seconds of stamp time '
                             '(default: %(default)s)')
    parser.add_argument('--device', default=PipelineOptions.device,
                        help='auto, cpu, cuda:0, … (default: %(default)s)')
    parser.add_argument('--precision', default=PipelineOptions.precision,
                        help='auto, float32, float16 or bfloat16 (default: %(default)s)')
    parser.add_argument('--json', type=pathlib.Path, metavar='FILE',
                        help='also write the rows to this file')


def run(args: argparse.Namespace) -> int:
    """Run each schedule over the same frames and print the table."""
    samples = list_camvid(args.camvid)
    rows = [_row(args, schedule, samples) for schedule in args.schedules]
    print(f'{"schedule":<14}{"mIoU":>8}{"pixel acc.":>12}{"key frames":>12}{"p50 ms":>9}')
    for row in rows:
        print(f'{row["name"]:<14}{row["miou"]:>8.4f}{row["pixel_accuracy"]:>12.4f}'
              f'{row["key_rate"]:>12.2%}{row["p50_ms"]:>9.1f}')
    print('IoU by class: ' + ', '.join(
        f'{name} {value:.2f}' for name, value in rows[0]['iou'].items())
        + f' ({rows[0]["name"]})')
    if args.json is not None:
        partial = args.json.with_name(args.json.name + '.partial')
        partial.write_text(json.dumps({'model': args.model, 'dataset': args.camvid.name,
                                       'rows': rows}, indent=2) + '\n', encoding='utf-8')
        os.replace(partial, args.json)
    return 0


def _row(args: argparse.Namespace, schedule: str, samples: list[DriveFrame]
         ) -> dict[str, Any]:
    options = PipelineOptions(
        model=args.model, schedule=schedule, threshold=args.threshold, device=args.device,
        precision=args.precision, fixed_interval=args.fixed_interval, slow_track='inline',
        slow_delay_s=args.slow_delay_s)
    keys, step_ms = 0, []
    with build_pipeline(options) as pipeline:
        label_set = _label_set(pipeline.label_set_name)
        confusion = ConfusionMatrix(len(label_set))
        for sample in tqdm(samples, desc=schedule, mininterval=1.0):
            image, labels = sample.load()
            result = pipeline.step(Frame(image, round(sample.time_s * 1e9)))
            if labels is not None:
                confusion.add(labels, result.mask)
            keys += result.status.key_frame
            step_ms.append(sum(result.status.stage_ms.values()))
    iou = dict(zip(label_set.names, (float(value) for value in confusion.iou())))
    return {'name': schedule, 'miou': confusion.miou(), 'iou': iou,
            'pixel_accuracy': confusion.pixel_accuracy(), 'key_rate': keys / len(samples),
            'p50_ms': sorted(step_ms)[len(step_ms) // 2], 'settings': _settings(options)}


def _label_set(name: str) -> LabelSet:
    if name != 'camvid':
        raise DatasetError(f'the model labels the classes of {name!r}, the data those of CamVid; '
                           'choose a model that was trained on CamVid')
    return load_label_set(name)


def _settings(options: PipelineOptions) -> dict[str, Any]:
    kept = ('threshold', 'fixed_interval', 'slow_delay_s', 'device', 'precision')
    return {name: value for name, value in dataclasses.asdict(options).items() if name in kept}
