# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""``lvs demo``: watch the node segment the synthetic street.

Three processes over real DDS: the camera, the node, and this one, which watches.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import pathlib
import random
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from lvs_ros.errors import ConfigurationError, LvsError, ros_needed
from lvs_ros.labels import load_label_set
from lvs_ros.output_folder import output_folder
from lvs_ros.shared_memory import prepare_shared_memory
from lvs_ros.street import StreetScene
from lvs_ros.tool_nodes.run_log import RunLog
from lvs_ros.tools.child_process import ChildProcess
from lvs_ros.tools.demo_display import DemoDisplay
from lvs_ros.tools.image_size import image_size
from lvs_ros.tools.interruption import interrupted_once, interruption_deferred
from lvs_ros.tools.run_summary import SUMMARY, RunSummary
from lvs_ros.tools.street import ORIGIN_TEXT

if TYPE_CHECKING:
    from lvs_ros.tool_nodes.watcher import Watcher

# On Linux domains above 101 use ports that the system also hands out to other programs.
_DOMAIN_IDS = range(1, 102)
_START_S = 180.0
_FIRST_MASK_S = 60.0
_LAST_MASKS_S = 2.0
_REFRESH_S = 0.25
_PREPARED_S = 1.5
_LVS = (sys.executable, '-m', 'lvs_ros.tools.cli')


class DemoError(LvsError):
    """The demo has nothing to show."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``lvs demo``."""
    parser.add_argument('--duration', metavar='S', type=float, default=20.0,
                        help='seconds to watch from the first mask on (default: %(default)s)')
    parser.add_argument('--out', metavar='DIR', type=pathlib.Path,
                        default=pathlib.Path('demo_output'),
                        help='folder for video, plots and figures; an earlier one is replaced '
                             '(default: %(default)s)')
    parser.add_argument('--rate', metavar='HZ', type=float, default=15.0,
                        help='images a second (default: %(default)s)')
    parser.add_argument('--size', metavar='WxH', type=image_size, default=(480, 360),
                        help='64x48 to 2048x1024 pixels (default: 480x360)')
    parser.add_argument('--seed', metavar='N', type=int, default=185,
                        help='another street, another weather (default: %(default)s)')
    parser.add_argument('--model', metavar='M',
                        help='model of the node: a name in config/models or a .safetensors file')
    parser.add_argument('--labels', metavar='L', default='camvid',
                        help='label set of the model; only masks of the CamVid classes can be '
                             'compared with those of the street (default: %(default)s)')
    parser.add_argument('--threshold', metavar='T', type=float,
                        help='threshold of the node: deviation above which a frame becomes a key '
                             'frame')
    parser.add_argument('--schedule', metavar='S',
                        help='schedule of the node: low_latency, adaptive, fixed, every_frame')
    parser.add_argument('--domain-id', metavar='N', type=int,
                        help='ROS domain (default: one in which nobody is)')


def run(args: argparse.Namespace) -> int:
    """Run ``lvs demo``."""
    for option, value in (('--duration', args.duration), ('--rate', args.rate)):
        if not (math.isfinite(value) and value > 0):
            raise ConfigurationError(f'{option} {value}: expected a number above 0')
    width, height = args.size
    scene = StreetScene(seed=args.seed, width=width, height=height)
    labels = load_label_set(args.labels)
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    prepare_shared_memory('lvs demo')
    log = RunLog()
    with interrupted_once(), output_folder(args.out, marker=SUMMARY, force=True) as folder:
        origin_ns = _watch(args, log)
        # matplotlib and PyAV take a second to load: not before there is something to draw
        from lvs_ros.tools.demo_report import CONTENTS, DemoReport
        _say(f'{len(log.arrivals)} masks received; drawing them for {args.out}/ ...')
        report = DemoReport(log, scene, origin_ns=origin_ns, labels=labels, rate_hz=args.rate)
        summary = report.write(folder)
    _tell(summary, {args.out / name: text for name, text in CONTENTS.items()})
    return 0


def _watch(args: argparse.Namespace, log: RunLog) -> int:
    """Start everything, watch, end everything.

    :returns: the camera's origin, nanoseconds.
    :raises DemoError: no mask came, or a process died.
    """
    with contextlib.ExitStack() as stack:
        watcher, domain_id = _join(log, args.domain_id)
        stack.enter_context(watcher)
        environment = {'ROS_DOMAIN_ID': str(domain_id)}
        _say(f'starting the camera and the node (ROS_DOMAIN_ID={domain_id}) ...')
        with interruption_deferred():
            camera = stack.enter_context(ChildProcess('the camera', _camera_command(args),
                                                      environment=environment))
            node = stack.enter_context(ChildProcess('the node', _node_command(args),
                                                    environment=environment))
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


def _join(log: RunLog, wanted: int | None) -> tuple[Watcher, int]:
    """Enter a ROS domain: the wanted one, or one where nobody is."""
    with ros_needed('the demo'):
        from lvs_ros.tool_nodes.watcher import Watcher
    if wanted is not None:
        return Watcher(log, domain_id=wanted), wanted
    for domain_id in random.sample(_DOMAIN_IDS, 8):
        watcher = Watcher(log, domain_id=domain_id)
        watcher.spin(0.5)
        if not watcher.is_domain_in_use:
            return watcher, domain_id
        watcher.close()
    raise DemoError('found no ROS domain without other nodes: choose one with --domain-id')


def _node_command(args: argparse.Namespace) -> list[str]:
    width, height = args.size
    parameters = {'warm_up_size': f'[{width}, {height}]', 'model': args.model,
                  'schedule': args.schedule,
                  'threshold': None if args.threshold is None else float(args.threshold)}
    command = [*_LVS, 'node', '--ros-args']
    for name, value in parameters.items():
        if value is not None:
            command += ['-p', f'{name}:={value}']
    return command


def _camera_command(args: argparse.Namespace) -> list[str]:
    width, height = args.size
    # The watcher and the node. The first mask comes a moment after the first image.
    return [*_LVS, 'street', '--rate', str(args.rate), '--size', f'{width}x{height}',
            '--seed', str(args.seed), '--wait-for', '2',
            '--prepare', str(args.duration + _PREPARED_S)]


def _wait(watcher: Watcher, children: list[ChildProcess], is_done: Callable[[], bool],
          timeout_s: float) -> bool:
    """Watch until something is the case.

    :returns: whether it was before the time was over.
    :raises DemoError: a process died.
    """
    deadline = time.monotonic() + timeout_s
    while not is_done():
        _check_alive(children)
        if time.monotonic() >= deadline:
            return False
        watcher.spin(0.05)
    return True


def _show(watcher: Watcher, children: list[ChildProcess], log: RunLog,
          duration_s: float) -> None:
    """Watch for the duration and show how it goes."""
    start_s = time.monotonic()
    with DemoDisplay(log, duration_s=duration_s) as display:
        while (elapsed_s := time.monotonic() - start_s) < duration_s:
            display.update(elapsed_s)
            _check_alive(children)
            watcher.spin(min(_REFRESH_S, duration_s - elapsed_s))
        display.update(duration_s)


def _check_alive(children: list[ChildProcess]) -> None:
    for child in children:
        if child.exit_code is not None:
            raise DemoError(_no_success(child, f'ended with exit code {child.exit_code}'))


def _no_success(child: ChildProcess, what: str) -> str:
    output = child.last_output() or '(nothing)'
    return f'{child.name} {what}. Its last output:\n{output}'


def _tell(summary: RunSummary, contents: Mapping[pathlib.Path, str]) -> None:
    latency = summary.latency_ms
    assert latency is not None
    _say(f'{summary.masks_received} masks of {summary.frames_sent} images, '
         f'{summary.key_frames} key frames; stamp to mask: p50 {latency.p50:.1f} ms, '
         f'p99 {latency.p99:.1f} ms, max {latency.max:.1f} ms'
         + ('' if summary.miou is None else f'; mIoU {summary.miou:.3f}'))
    _say('Where to look next:')
    for path, text in contents.items():
        _say(f'  {path}: {text}')


def _say(text: str) -> None:
    print(text, flush=True)
