# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs record-images``: turn a folder of images into a recording."""

import argparse
import fractions
import pathlib

import cv2
from tqdm import tqdm

from lvs_ros.datasets.image_folder import FORMATS, image_files
from lvs_ros.datasets.orientation import UPRIGHT, exif_orientation, upright
from lvs_ros.errors import DatasetError, ImageError
from lvs_ros.pipeline.encodings import decode_compressed
from lvs_ros.pipeline.pixel_limit import FILE_PIXELS
from lvs_ros.recordings.message_types import NS_PER_S
from lvs_ros.recordings.recording_writer import STORAGES, RecordingWriter
from lvs_ros.tools.interruption import interrupted_once
from lvs_ros.tools.numbers import check_positive

_ENCODINGS = {'rgb': 'rgb8', 'bgr': 'bgr8'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``lvs record-images``."""
    parser.add_argument('folder', metavar='DIR', type=pathlib.Path,
                        help='folder of .jpg and .png images; they are taken in the order of '
                             'their names, numbers by value (frame9 before frame10)')
    parser.add_argument('bag', metavar='BAG', type=pathlib.Path,
                        help='recording to be written (a rosbag2 folder)')
    parser.add_argument('--rate', metavar='HZ', type=_number,
                        default=fractions.Fraction(15),
                        help='images per second, 15 or 29.97 or 30000/1001 for example '
                             '(default: %(default)s)')
    parser.add_argument('--raw', action='store_true',
                        help='write sensor_msgs/Image; the default is CompressedImage, which '
                             'keeps the bytes of the files, except where EXIF says that a picture '
                             'is to be turned: it is, and becomes a PNG')
    parser.add_argument('--topic', metavar='NAME', default='/image_raw',
                        help='topic of the raw images; compressed ones get /compressed behind '
                             'it (default: %(default)s)')
    parser.add_argument('--frame-id', metavar='NAME', default='camera',
                        help="frame_id of the images' headers (default: %(default)s)")
    parser.add_argument('--start-stamp', metavar='S', type=_number,
                        default=fractions.Fraction(1),
                        help='stamp of the first image, in seconds (default: %(default)s; always '
                             'the same, so that the same images give the same recording)')
    parser.add_argument('--storage', choices=sorted(STORAGES), default='mcap',
                        help='file format (default: %(default)s)')
    parser.add_argument('--force', action='store_true', help='replace an earlier recording')


def run(args: argparse.Namespace) -> int:
    """Run ``lvs record-images``."""
    check_positive(args, 'rate', 'start_stamp')    # 0 s is what an unset stamp reads
    files = image_files(args.folder)
    with interrupted_once(), RecordingWriter(
            args.bag, storage=args.storage, force=args.force) as writer:
        for index, path in enumerate(tqdm(files, unit='image', disable=None)):
            stamp_ns = round((args.start_stamp + index / args.rate) * NS_PER_S)
            _write(writer, path, stamp_ns, args)
    seconds = float(len(files) / args.rate)
    print(f'{args.bag}: {len(files)} images, {seconds:.1f} s at {float(args.rate):g} Hz')
    return 0


def _number(text: str) -> fractions.Fraction:
    try:
        return fractions.Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise argparse.ArgumentTypeError(f'{text!r} is no number') from error


def _write(writer: RecordingWriter, path: pathlib.Path, stamp_ns: int,
           args: argparse.Namespace) -> None:
    format = FORMATS[path.suffix.lower()]
    try:
        data = path.read_bytes()
        image, order = decode_compressed(data, format, max_pixels=FILE_PIXELS)
    except (OSError, ImageError) as error:
        raise DatasetError(f'{path}: {error}') from error
    orientation = exif_orientation(path)
    if orientation != UPRIGHT:    # which nobody looks at in a message
        image = upright(image, orientation)
        format, data = 'png', cv2.imencode('.png', image)[1].tobytes()
    if args.raw:
        writer.write_image(args.topic, image, encoding=_ENCODINGS[order], stamp_ns=stamp_ns,
                           frame_id=args.frame_id)
    else:
        writer.write_compressed(f'{args.topic}/compressed', data, format=format,
                                stamp_ns=stamp_ns, frame_id=args.frame_id)
