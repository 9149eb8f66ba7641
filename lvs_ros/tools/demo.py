# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs demo``: watch the node segment the synthetic street.

Three processes over real DDS: the camera, the node, and this one, which watches.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lvs_ros.errors import LvsError, ros_needed
from lvs_ros.labels import load_label_set
from lvs_ros.options import PipelineOptions
from lvs_ros.output_folder import output_folder
from lvs_ros.shared_memory import prepare_shared_memory
from lvs_ros.street import StreetScene
from lvs_ros.tool_nodes.processes import NodeProcess, start_segmentation_node
from lvs_ros.tool_nodes.run_log import RunLog
from lvs_ros.tools.demo_display import DemoDisplay
from lvs_ros.tools.interruption import interrupted_once, interruption_deferred
from lvs_ros.tools.numbers import check_positive
from lvs_ros.tools.pipeline_options import add_options, pipeline_options
from lvs_ros.tools.run_summary import SUMMARY
from lvs_ros.tools.street import ORIGIN_TEXT, add_street_arguments

if TYPE_CHECKING:
    from lvs_ros.tool_nodes.watcher import Watcher

_START_S = 180.0
_FIRST_MASK_S = 60.0
_LAST_MASKS_S = 2.0
_REFRESH_S = 0.25
_PREPARED_S = 1.5


class DemoError(LvsError):
    """Camera or node did not start, or ended."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``lvs demo``."""
    parser.add_argument('--duration', metavar='S', type=float, default=20.0,
                        help='seconds to watch from the first mask on (default: %(default)s)')
    parser.add_argument('--out', metavar='DIR', type=pathlib.Path,
                        default=pathlib.Path('demo_output'),
                        help='folder for video, plots and figures; an earlier one is replaced '
                             '(default: %(default)s)')
    add_street_arguments(parser, seed=185)
    parser.add_argument('--labels', metavar='L',
                        help="other colours: a label set with the model's classes; only masks of "
                             'the CamVid classes can be compared with those of the street '
                             '(default: that of the model)')
    add_options(parser, 'model', 'threshold', 'schedule')
    parser.add_argument('--domain-id', metavar='N', type=int,
                        help='ROS domain (default: one without other nodes)')


def run(args: argparse.Namespace) -> int:
    """Run ``lvs demo``."""
    check_positive(args, 'duration', 'rate')
    width, height = args.size
    scene = StreetScene(seed=args.seed, width=width, height=height)
    given, options = args.labels and load_label_set(args.labels), pipeline_options(args)
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    prepare_shared_memory('lvs demo')
    log = RunLog()
    with interrupted_once(), output_folder(args.out, marker=SUMMARY, force=True) as folder:
        origin_ns = _watch(args, options, log)
        # torch, matplotlib and PyAV take seconds to load: not before there is something to draw
        from lvs_ros.model.checkpoint import read_config
        from lvs_ros.tools.demo_report import CONTENTS, DemoReport
        labels = read_config(options.model).labels_as(given)
        _say(f'{len(log.arrivals)} masks received; drawing them for {args.out}/ ...')
        report = DemoReport(log, scene, origin_ns=origin_ns, labels=labels, rate_hz=args.rate)
        summary = report.write(folder)
    _tell(summary, {args.out / name: text for name, text in CONTENTS.items()})
    return 0


def _watch(args: argparse.Namespace, options: PipelineOptions, log: RunLog) -> int:
    """Start camera and node, watch them, end them.

    :returns: the camera's origin, nanoseconds.
    :raises DemoError: no mask came, or a process died.
    """
    with ros_needed('the demo'):
        from lvs_ros.tool_nodes.watcher import Watcher
    with contextlib.ExitStack() as stack:
        watcher = stack.enter_context(
            Watcher.in_free_domain(log) if args.domain_id is None
            else Watcher(log, domain_id=args.domain_id))
        _say(f'starting the camera and the node (ROS_DOMAIN_ID={watcher.domain_id}) ...')
        with interruption_deferred():
            camera = stack.enter_context(NodeProcess(
                'the camera', 'lvs_ros.tools.cli', _camera_words(args),
                environment={'ROS_DOMAIN_ID': str(watcher.domain_id)}))
            node = stack.enter_context(start_segmentation_node(
                options, size=args.size, domain_id=watcher.domain_id))
        children = [node, camera]
        if not _wait(watcher, children, lambda: bool(log.images), _START_S):
            raise DemoError(_no_success(camera, f'sent no image within {_START_S:g} s'))
        if not _wait(watcher, children, lambda: bool(log.arrivals), _FIRST_MASK_S):
            raise DemoError(_no_success(
                node, f'published no mask within {_FIRST_MASK_S:g} s; {len(log.images)} images '
                      'were seen'))
        _show(watcher, children, log, args.duration)
        origin = camera.find_output(ORIGIN_TEXT)
        camera.stop()
        _wait(watcher, [node], lambda: not log.images or max(log.images) in log.statuses,
              _LAST_MASKS_S)
    assert origin is not None
    return int(origin)


def _camera_words(args: argparse.Namespace) -> list[str]:
    width, height = args.size
    # The watcher and the node. The first mask comes a moment after the first image.
    return ['street', '--rate', str(args.rate), '--size', f'{width}x{height}', '--seed',
            str(args.seed), '--wait-for', '2', '--prepare', str(args.duration + _PREPARED_S)]


def _wait(watcher: Watcher, children: list[NodeProcess], is_done: Callable[[], bool],
          timeout_s: float) -> bool:
    """Watch until a condition holds.

    :returns: whether it held before the timeout.
    :raises DemoError: a process ended.
    """
    def check() -> bool:
        _check_alive(children)
        return is_done()

    return watcher.spin_until(check, timeout_s)


def _show(watcher: Watcher, children: list[NodeProcess], log: RunLog,
          duration_s: float) -> None:
    """Watch for the duration and show the figures."""
    start_s = time.monotonic()
    with DemoDisplay(log, duration_s=duration_s) as display:
        while (elapsed_s := time.monotonic() - start_s) < duration_s:
            display.update(elapsed_s)
            _check_alive(children)
            watcher.spin(min(_REFRESH_S, duration_s - elapsed_s))
        display.update(duration_s)


def _check_alive(children: list[NodeProcess]) -> None:
    for child in children:
        if child.exit_code is not None:
            raise DemoError(_no_success(child, f'ended with exit code {child.exit_code}'))


def _no_success(child: NodeProcess, what: str) -> str:
    return f'{child.name} {what}. Its last output:\n{child.last_output()}'


def _tell(summary: Mapping[str, Any], contents: Mapping[pathlib.Path, str]) -> None:
    latency_ms = summary['latency_ms']
    _say(f'{summary["masks_received"]} masks of {summary["frames_sent"]} images, '
         f'{summary["key_frames"]} key frames; stamp to mask: p50 {latency_ms["p50"]:.1f} ms, '
         f'p99 {latency_ms["p99"]:.1f} ms, max {latency_ms["max"]:.1f} ms'
         + ('' if summary['miou'] is None else f'; mIoU {summary["miou"]:.3f}'))
    _say('Where to look next:')
    for path, text in contents.items():
        _say(f'  {path}: {text}')


def _say(text: str) -> None:
    print(text, flush=True)
