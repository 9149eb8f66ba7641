# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs replay``: run every frame of a recording through the pipeline and write the results.

S_h runs inline, its duration simulated in the recording's time: the same recording gives the same
masks, however fast the machine is.
"""

import argparse
import contextlib
import pathlib
from typing import Any, Optional

import cv2
import numpy as np
from tqdm import tqdm

from lvs_ros.captions import Captions
from lvs_ros.datasets.footage import Footage
from lvs_ros.errors import ImageError, RecordingError
from lvs_ros.labels import load_label_set
from lvs_ros.options import PipelineOptions
from lvs_ros.output_folder import output_folder
from lvs_ros.pipeline.as_rgb import as_rgb
from lvs_ros.pipeline.build import build_pipeline
from lvs_ros.pipeline.execution import SimulatedExecutor
from lvs_ros.pipeline.frame import RefinedMask
from lvs_ros.plots import plot_deviation
from lvs_ros.recordings.recording_writer import STORAGES, RecordingWriter
from lvs_ros.recordings.video import VideoWriter
from lvs_ros.tools.interruption import interrupted_once
from lvs_ros.tools.pipeline_options import (DEVICE, add_options, add_slow_delay,
                                            pipeline_options)
from lvs_ros.tools.recording_options import add_recording, add_recording_details, recording_of
from lvs_ros.tools.replay_summary import ReplaySummary

RECORDING, SUMMARY = 'recording', 'summary.json'
VIDEO, FORECAST_VIDEO, PLOT = 'overlay.mp4', 'overlay_forecast.mp4', 'deviation.png'
"""What stands in the output folder; what people look at has the model's name before it."""

MASK_TOPIC, STATUS_TOPIC = '/lvs/mask', '/lvs/status'
REFINED_TOPIC, FORECAST_TOPIC = '/lvs/mask_refined', '/lvs/mask_forecast'
"""Where the node publishes the same, under its own name."""

_FOREVER_NS = 2 ** 63


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``lvs replay``."""
    add_recording(parser)
    add_recording_details(parser)
    parser.add_argument('--out', metavar='DIR', type=pathlib.Path, required=True,
                        help=f'folder to be written: {RECORDING}/ with masks, forecasts and '
                             f'status, MODEL_{VIDEO}, MODEL_{FORECAST_VIDEO} (each image under '
                             'the forecast that was there when it came), both with the time, key '
                             f'frames and the classes under the picture, MODEL_{PLOT}, {SUMMARY}')
    parser.add_argument('--force', action='store_true', help='replace an earlier replay')
    parser.add_argument('--labels', metavar='NAME',
                        help="other colours for the overlay: a label set with the model's "
                             'classes, by name or as a .yaml file (default: that of the model)')
    add_options(parser, 'model', 'schedule', 'threshold', 'fixed_interval', 'max_key_age_frames',
                'forecast_s', *DEVICE, 'max_pixels', 'refined_mask')
    add_slow_delay(parser, default=0.3, otherwise='%(default)s')
    parser.add_argument('--storage', choices=sorted(STORAGES), default='mcap',
                        help='file format of the recording (default: %(default)s)')
    parser.add_argument('--copy-images', action='store_true',
                        help='write the images, as they were, into the recording too')


def run(args: argparse.Namespace) -> int:
    """Run ``lvs replay``."""
    options = pipeline_options(args)
    with contextlib.ExitStack() as stack:
        stack.enter_context(interrupted_once())  # so that the partial folder is removed
        folder = stack.enter_context(output_folder(args.out, marker=SUMMARY, force=args.force))
        folder.mkdir()
        footage = recording_of(args)
        summary = ReplaySummary(recording=footage.name, topic=footage.topic,
                                options=options, slow_delay_s=args.slow_delay_s)
        _replay(footage, options, summary, folder, args)
        if not summary.samples:
            first = summary.dropped[0][1] if summary.dropped else 'it is not in the file'
            raise RecordingError(f'{footage.path}: none of the {len(footage)} images of '
                                 f'{footage.topic} could be decoded; the first: {first}')
        plot_deviation(folder / summary.named(PLOT), summary.samples, title=summary.title)
        summary.write(folder / SUMMARY)
    print(f'{args.out}: {summary.text}')
    return 0


def _replay(footage: Footage, options: PipelineOptions, summary: ReplaySummary,
            folder: pathlib.Path, args: argparse.Namespace) -> None:
    """Run the frames through a pipeline; write recording and video, and fill the summary."""
    with contextlib.ExitStack() as stack:
        executor = SimulatedExecutor(args.slow_delay_s, threads=options.cpu_threads)
        pipeline = stack.enter_context(build_pipeline(options, executor=executor))
        video = stack.enter_context(VideoWriter(folder / summary.named(VIDEO)))
        forecast_video = stack.enter_context(VideoWriter(folder / summary.named(FORECAST_VIDEO)))
        newest: Optional[np.ndarray] = None    # forecast
        captions: dict[VideoWriter, Captions] = {}
        writer = stack.enter_context(RecordingWriter(folder / RECORDING, storage=args.storage))
        labels = pipeline.config.labels_as(load_label_set(args.labels) if args.labels else None)
        summary.device = str(pipeline.device)
        refined: list[RefinedMask] = []
        if args.refined_mask:
            pipeline.on_refined = refined.append
        written: dict[str, Any] = {}

        def write_refined() -> None:
            """Write that of the last frame, if it came, at the time of its image."""
            for one in refined:
                writer.write_image(REFINED_TOPIC, one.mask, encoding='mono8', **written)
            refined.clear()

        messages = tqdm(footage.messages(), total=len(footage), unit='frame', disable=None)
        for index, message in enumerate(messages):
            try:
                frame, frame_id = message.decode(args.max_pixels)
                result = pipeline.step(frame)
                forecast = pipeline.forecast(frame, result)
            except ImageError as error:
                summary.dropped.append((index, str(error)))
                continue
            write_refined()
            summary.add(index, frame.stamp_ns, result.status)
            if args.copy_images:
                for part in message.stored:
                    writer.write_serialized(part.topic, part.msgtype, part.cdr(),
                                            log_time_ns=part.log_time_ns)
            written = {'stamp_ns': frame.stamp_ns, 'frame_id': frame_id,
                       'log_time_ns': message.log_time_ns}
            writer.write_image(MASK_TOPIC, result.mask, encoding='mono8', **written)
            writer.write_image(FORECAST_TOPIC, forecast.mask, encoding='mono8',
                               **written | {'stamp_ns': forecast.stamp_ns})
            writer.write_status(STATUS_TOPIC, result.status, frames_received=summary.frames,
                                frames_dropped=len(summary.dropped), **written)
            if not captions:
                captions = {output: Captions(labels, f'{summary.title}{what}', frame.size)
                            for output, what in ((video, ''), (forecast_video, ', forecast'))}
            for output, mask in ((video, result.mask), (forecast_video, newest)):
                if mask is not None:
                    overlay = labels.overlay(as_rgb(frame), cv2.resize(
                        mask, frame.size, interpolation=cv2.INTER_NEAREST))
                    output.write(captions[output].under(
                        overlay, time_s=summary.samples[-1].time_s,
                        key_age_frames=result.status.key_age_frames), frame.stamp_ns)
            newest = forecast.mask
        if written:
            pipeline.take_results(_FOREVER_NS)
            write_refined()
        summary.shortened = video.shortened
