# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The demo: figures by hand, and all of it over real DDS with real processes."""

import io
import json
import math
import pathlib
import signal
import subprocess
import sys
import threading
import time
from typing import Any, Iterator

import av
import cv2
import psutil
import pytest
import rclpy
import torch
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from lvs_ros.errors import ConfigurationError
from lvs_ros.model import VARIANTS, SegmentationNetwork, save_network
from lvs_ros.msg import FrameStatus
from lvs_ros.street import StreetScene
from lvs_ros.tool_nodes.run_log import RunLog
from lvs_ros.tool_nodes.street_camera import StreetCamera, scene_time_s
from lvs_ros.tools.demo_display import DemoDisplay, current_figures
from lvs_ros.tools.demo_report import CONTENTS
from lvs_ros.tools.interruption import interrupted_once, interruption_deferred
from lvs_ros.tools.run_summary import summarise

MS = 1_000_000
PATIENCE_S = 180


def add_mask(log: RunLog, stamp_ns: int, received_ns: int, **status: Any) -> None:
    """Let a mask and its status arrive."""
    log.arrivals[stamp_ns] = received_ns
    log.statuses[stamp_ns] = FrameStatus(schedule='low_latency', threshold=0.1, **status)


def example_log() -> RunLog:
    """Five images, 100 ms apart; masks of the second, fourth and fifth."""
    log = RunLog()
    for tick in range(5):
        log.images[tick * 100 * MS] = tick * 100 * MS + 1
    add_mask(log, 100 * MS, 110 * MS, key_frame=True, deviation=math.nan, slow_track_ms=math.nan)
    add_mask(log, 300 * MS, 320 * MS, deviation=0.05, slow_track_ms=200.0)
    add_mask(log, 400 * MS, 460 * MS, key_frame=True, deviation=0.05, slow_track_ms=300.0)
    return log


def test_summary_by_hand() -> None:
    summary = summarise(example_log(), miou=0.25)
    assert summary == {
        'frames_sent': 4, 'masks_received': 3, 'key_frames': 2,
        'rate_hz': 6.67,  # two intervals in 0.3 s
        # p99 of 10, 20, 60: 0.99 * 2 = 1.98, so 20 + 0.98 * 40
        'latency_ms': {'p50': 20.0, 'p99': 59.2, 'max': 60.0},
        'slow_track_ms': 250.0, 'miou': 0.25}


def test_summary_of_nothing() -> None:
    log = RunLog()
    log.images[0] = 1
    assert summarise(log) == {
        'frames_sent': 0, 'masks_received': 0, 'key_frames': 0, 'rate_hz': None,
        'latency_ms': {'p50': None, 'p99': None, 'max': None}, 'slow_track_ms': None,
        'miou': None}


def test_a_job_counts_once_however_often_it_is_told() -> None:
    log = RunLog()
    for tick, duration in enumerate((math.nan, 100.0, 100.0, 100.0, 300.0, 500.0)):
        add_mask(log, tick, tick, slow_track_ms=duration)
    assert summarise(log)['slow_track_ms'] == 300.0


def test_display_without_a_terminal_prints_lines() -> None:
    output = io.StringIO()
    with DemoDisplay(example_log(), duration_s=4.0, output=output) as display:
        for elapsed_s in (0.0, 0.5, 2.5, 3.0):
            display.update(elapsed_s)
    lines = output.getvalue().splitlines()
    assert len(lines) == 2
    assert 'masks 3 of 4 images' in lines[0] and 'latency p50 20.0 ms' in lines[0]
    assert '\x1b' not in output.getvalue()
    assert current_figures(RunLog()) == {'masks': '0'}


@pytest.mark.parametrize('rate_hz', [0.0, -1.0, 1000.0, float('nan')])
def test_camera_refuses_impossible_rates(rate_hz: float) -> None:
    with pytest.raises(ConfigurationError, match='expected a rate from'):
        StreetCamera(StreetScene(width=64, height=48), rate_hz=rate_hz)


def test_images_can_be_rendered_again_from_their_stamps(ros_domain: int) -> None:
    """Drawn in advance or not: what arrives is what the stamp says."""
    received: list[Image] = []
    context = Context()
    rclpy.init(context=context)
    node = rclpy.create_node('listener', context=context)
    node.create_subscription(Image, 'image_raw', received.append, qos_profile_sensor_data)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    scene = StreetScene(seed=3, width=96, height=64)
    with StreetCamera(scene, rate_hz=20.0) as camera:
        assert camera.prepare(0.3) == 6

        def film() -> None:
            camera.wait_for_subscribers(1)
            camera.film(duration_s=0.5)

        filming = threading.Thread(target=film)
        filming.start()
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and (filming.is_alive() or not received):
            executor.spin_once(timeout_sec=0.1)
        origin_ns = camera.start()
    executor.shutdown()
    node.destroy_node()
    context.shutdown()
    assert received
    for message in received:
        stamp_ns = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
        assert (stamp_ns - origin_ns) % 50_000_000 == 0
        assert (message.header.frame_id, message.encoding) == ('camera', 'rgb8')
        expected, _ = scene.render(scene_time_s(stamp_ns, origin_ns))
        assert bytes(message.data) == expected.tobytes()


def test_interruption_waits_for_the_end_of_the_block() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt):
        with interrupted_once():
            with interruption_deferred():
                signal.raise_signal(signal.SIGTERM)
                reached.append('inside')
            reached.append('after')
    assert reached == ['inside']


def test_only_the_first_interruption_counts() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with interrupted_once():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.fixture(scope='module')
def model(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Make the file of a network that knows nothing: enough for one mask a frame."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('model') / 'tiny.safetensors'
    save_network(SegmentationNetwork(VARIANTS['tiny']('camvid', 11)), path)
    return path


def demo_command(out: pathlib.Path, model: pathlib.Path, domain_id: int, *,
                 duration_s: float = 1.0) -> list[str]:
    return [sys.executable, '-m', 'lvs_ros.tools.cli', 'demo', '--duration', str(duration_s),
            '--rate', '5', '--size', '160x120', '--out', str(out), '--model', str(model),
            '--domain-id', str(domain_id)]


def processes_in(domain_id: int) -> Iterator[psutil.Process]:
    """Find the processes of lvs_ros that were started for a ROS domain of a test."""
    for process in psutil.process_iter():
        try:
            if process.environ().get('ROS_DOMAIN_ID') == str(domain_id) \
                    and any(word.startswith('lvs_ros.') for word in process.cmdline()):
                yield process
        except psutil.Error:
            continue


def children_of(demo: subprocess.Popen, domain_id: int, *, count: int) -> list[psutil.Process]:
    """Wait until the demo has started its processes."""
    deadline = time.monotonic() + PATIENCE_S
    parent = psutil.Process(demo.pid)
    while time.monotonic() < deadline and demo.poll() is None:
        # A process that has just been forked still has the demo's own command line. To look at
        # the environment of every process takes longer than to count the demo's children.
        if len(parent.children()) == count:
            own = parent.cmdline()
            found = [process for process in processes_in(domain_id)
                     if process.pid != demo.pid and process.cmdline() != own]
            if len(found) == count:
                return found
        time.sleep(0.05)
    raise AssertionError(f'the demo did not start {count} processes')


@pytest.mark.usefixtures('large_image_profile')
def test_demo(tmp_path: pathlib.Path, model: pathlib.Path, ros_domain: int) -> None:
    out = tmp_path / 'demo_output'
    done = subprocess.run(demo_command(out, model, ros_domain), capture_output=True, text=True,
                          timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((out / 'summary.json').read_text())
    assert summary['masks_received'] > 0
    assert summary['masks_received'] <= summary['frames_sent']
    assert 1 <= summary['key_frames'] <= summary['masks_received']
    latency = summary['latency_ms']
    assert 0 < latency['p50'] <= latency['p99'] <= latency['max']
    assert 0 <= summary['miou'] <= 1
    assert 'slow_track_ms' in summary
    assert {path.name for path in out.iterdir()} == set(CONTENTS)
    for name in CONTENTS:
        assert f'{out / name}: ' in done.stdout
        if name.endswith('.png'):
            assert cv2.imread(str(out / name)) is not None
    with av.open(str(out / 'overlay.mp4')) as video:
        frames = [frame.to_ndarray(format='rgb24') for frame in video.decode(video=0)]
    assert len(frames) == summary['masks_received']
    assert frames[0].shape[1] == 2 * 160
    assert not list(processes_in(ros_domain))


def test_demo_tells_why_the_node_did_not_start(tmp_path: pathlib.Path, ros_domain: int) -> None:
    out = tmp_path / 'demo_output'
    done = subprocess.run(demo_command(out, tmp_path / 'none.safetensors', ros_domain),
                          capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode not in (0, -signal.SIGKILL)
    assert 'the node ended with exit code' in done.stderr
    assert 'none.safetensors' in done.stderr
    assert not out.exists()
    assert not list(processes_in(ros_domain))


def test_demo_tells_that_the_node_died(tmp_path: pathlib.Path, model: pathlib.Path,
                                       ros_domain: int) -> None:
    with subprocess.Popen(demo_command(tmp_path / 'out', model, ros_domain, duration_s=600.0),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        node = next(process for process in children_of(demo, ros_domain, count=2)
                    if 'lvs_ros.node.executable' in process.cmdline())
        node.kill()
        _, errors = demo.communicate(timeout=PATIENCE_S)
    assert demo.returncode == 2
    assert f'the node ended with exit code {-signal.SIGKILL}' in errors
    assert not list(processes_in(ros_domain))


def test_demo_leaves_no_process_when_interrupted(tmp_path: pathlib.Path, model: pathlib.Path,
                                                 ros_domain: int) -> None:
    # By SIGTERM, which ends a program that prepares for nothing. The demo handles SIGINT with it
    # (test_only_the_first_interruption_counts).
    out = tmp_path / 'demo_output'
    with subprocess.Popen(demo_command(out, model, ros_domain, duration_s=600.0),
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as demo:
        children_of(demo, ros_domain, count=2)
        demo.terminate()
        _, errors = demo.communicate(timeout=PATIENCE_S)
    assert demo.returncode == 130, errors
    assert 'Traceback' not in errors
    assert not list(processes_in(ros_domain))
    assert not out.exists()
