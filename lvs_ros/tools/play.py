# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs play``: publish a recording over ROS 2 at its own timing."""

from __future__ import annotations

import argparse
import contextlib
import functools
from typing import TYPE_CHECKING, Iterable

from lvs_ros.errors import ConfigurationError, ImageError, ros_needed
from lvs_ros.recordings.message_types import COMPRESSED_IMAGE
from lvs_ros.recordings.playback import (
    LATE_S,
    PlaybackReport,
    TimedMessage,
    play,
    timed_messages,
)
from lvs_ros.recordings.read_ahead import read_ahead
from lvs_ros.recordings.transport import TRANSPORTS, sent_topic, sent_type, serialize, with_stamp
from lvs_ros.shared_memory import prepare_shared_memory
from lvs_ros.tools.interruption import interrupted_once
from lvs_ros.tools.numbers import check_positive
from lvs_ros.tools.recording_options import add_recording, add_recording_details, recording_of

if TYPE_CHECKING:
    from lvs_ros.tool_nodes.image_publisher import ImagePublisher


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``lvs play``."""
    add_recording(parser)
    add_recording_details(parser)
    parser.add_argument('--rate', metavar='R', type=float, default=1.0,
                        help='speed: 2 plays twice as fast (default: %(default)s)')
    parser.add_argument('--loop', action='store_true', help='begin again at the end, until Ctrl-C')
    parser.add_argument('--to', metavar='TOPIC',
                        help='publish on this topic (default: its name in the recording, with or '
                             'without /compressed as the transport demands)')
    parser.add_argument('--transport', choices=TRANSPORTS, default='recorded',
                        help='publish Image (raw) or CompressedImage (compressed), converting '
                             'where the recording holds the other (default: as recorded, and '
                             'raw for coded video and files, which are decoded)')
    parser.add_argument('--stamp', choices=('recorded', 'now'), default='recorded',
                        help='header stamps: those of the recording, or the time of publishing, '
                             'by which a latency from stamp to mask can be told (default: '
                             '%(default)s)')
    parser.add_argument('--reliability', choices=('reliable', 'best_effort'), default='reliable',
                        help='reliable, the default here as in image_transport and ros2 bag play, '
                             'reaches reliable and best effort subscribers; best_effort is what '
                             'drivers with the sensor data profile offer, and reaches the latter '
                             'only')
    parser.add_argument('--clock', metavar='HZ', nargs='?', type=float, const=40.0,
                        help="publish the recording's time on /clock, for nodes with use_sim_time "
                             '(without a value: at %(const)s Hz)')
    parser.add_argument('--no-wait', action='store_true',
                        help='start at once; the default is to wait for a subscriber')
    parser.add_argument('--wait-timeout', metavar='S', type=float,
                        help='give up after this many seconds without a subscriber (default: '
                             'wait until Ctrl-C)')


def run(args: argparse.Namespace) -> int:
    """Run ``lvs play``."""
    _check(args)
    prepare_shared_memory('lvs play')
    with ros_needed('playing'):
        from lvs_ros.tool_nodes.image_publisher import ImagePublisher
    with contextlib.ExitStack() as stack:
        stack.enter_context(interrupted_once())
        footage = recording_of(args)
        source = footage.decoded_from()
        transport = 'raw' if source and args.transport == 'recorded' else args.transport
        if source:
            _say(f'{footage.name} is {source}: it is decoded, and sent as {transport} images')
        publisher = stack.enter_context(ImagePublisher(
            args.to or sent_topic(footage.topic, footage.msgtype, transport),
            compressed=sent_type(footage.msgtype, transport) == COMPRESSED_IMAGE,
            reliability=args.reliability, with_clock=args.clock is not None))
        malformed: list[tuple[int, ImageError]] = []
        frames = stack.enter_context(read_ahead(timed_messages(
            footage.messages, functools.partial(serialize, transport=transport), rate=args.rate,
            loop=args.loop, on_malformed=lambda *which: malformed.append(which))))
        _say(f'{args.recording}: {len(footage)} images of {footage.topic} on {publisher.topic}'
             f'{", over and over" if args.loop else ""}')
        if not args.no_wait:
            publisher.wait_for_subscribers(
                1, timeout_s=args.wait_timeout,
                on_wait=lambda: _say('waiting for a subscriber (Ctrl-C to stop)'))
        report = PlaybackReport()
        try:
            _play(frames, publisher, report, args)
            publisher.flush()
        except KeyboardInterrupt:
            if not args.loop:  # which has no other end
                raise
        finally:
            _tell(report, malformed)
    return 0


def _check(args: argparse.Namespace) -> None:
    check_positive(args, 'rate', 'clock')
    if args.stamp == 'now' and args.clock is not None:
        raise ConfigurationError('--stamp now and --clock contradict each other: /clock carries '
                                 'the time of the recording, the stamps would not')


def _play(frames: Iterable[TimedMessage], publisher: ImagePublisher, report: PlaybackReport,
          args: argparse.Namespace) -> None:
    def send(message: TimedMessage) -> None:
        cdr = message.cdr
        publisher.publish(cdr if args.stamp == 'recorded'
                          else with_stamp(cdr, publisher.now_ns()))

    if args.clock is None:
        play(frames, send, report, rate=args.rate)
    else:
        play(frames, send, report, rate=args.rate, publish_clock=publisher.publish_clock,
             clock_period_s=1 / args.clock)


def _tell(report: PlaybackReport, malformed: list[tuple[int, ImageError]]) -> None:
    _say(f'published {report.frames} images in {report.last_s - report.first_s:.2f} s '
         f'({report.rate_hz:.2f} Hz); {report.late} late by more than {LATE_S * 1000:.0f} ms, '
         f'worst {report.worst_late_s * 1000:.1f} ms')
    if malformed:
        index, error = malformed[0]
        _say(f'{len(malformed)} malformed images were left out; the first is number {index}: '
             f'{error}')


def _say(text: str) -> None:
    print(text, flush=True)
