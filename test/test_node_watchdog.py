# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""When the process of a node ends by itself: a call that never returns, a lost device."""

import os
import pathlib
import signal
import threading
import time
from typing import Any, Iterator

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402
from node_rig import Peer  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
import test_node_process  # noqa: E402
from test_node_process import MAIN, Camera  # noqa: E402

from lvs_ros.msg import FrameStatus  # noqa: E402

start = test_node_process.start
WATCHDOG_S = 1.5
# S_h in the background runs into a debugger, which reads its commands from a pipe, and the next
# time into a native call that neither returns nor lets anybody else use the interpreter.
DEBUGGED_AND_HUNG = """
import ctypes, os, pdb, sys
import lvs_ros.pipeline.pipeline    # in the foreground, S_h stays as it is
import lvs_ros.pipeline.slow_track as slow_track

usual_job = slow_track.run_job
jobs = 0

def run_job(job, begin, **others):
    def stopped(job):
        global jobs
        jobs += 1
        if jobs == 1:
            print('debugged', flush=True)
            commands = open(os.environ['LVS_TEST_PIPE'])
            debugger = pdb.Pdb(stdin=commands, stdout=sys.stdout, nosigint=True)
            debugger.set_trace()
        else:
            print('hung', flush=True)
            ctypes.PyDLL(None).sleep(3600)
        return begin(job)
    return usual_job(job, begin if job.stamp_ns < 10 else stopped, **others)

slow_track.run_job = run_job
"""
HUNG_BESIDE_THE_FRAMES = """
import time
import lvs_ros.pipeline.pipeline    # in the foreground, S_h stays as it is
import lvs_ros.pipeline.slow_track as slow_track

usual_job = slow_track.run_job

def run_job(job, begin, **others):
    if job.stamp_ns >= 10:    # not of the warm-up
        time.sleep(3600)
    return usual_job(job, begin, **others)

slow_track.run_job = run_job
"""
LOST_DEVICE = """
from lvs_ros.pipeline import SegmentationPipeline

def step(self, frame, **others):
    raise RuntimeError('CUDA error: an illegal memory access was encountered')

SegmentationPipeline.step = step
SegmentationPipeline.lasting_error = lambda self: 'CUDA error: unspecified launch failure'
SegmentationPipeline.warm_up = lambda *_: None
"""


@pytest.fixture
def peer(ros_domain: int) -> Iterator[Peer]:
    peer = Peer()
    for kind, topic in ((Image, '/lvs/mask'), (FrameStatus, '/lvs/status'),
                        (DiagnosticArray, '/diagnostics')):
        peer.subscribe(kind, topic)
    yield peer
    peer.close()


@pytest.fixture
def camera(peer: Peer) -> Iterator[Camera]:
    camera = Camera(peer)
    yield camera
    camera.close()


def test_a_hang_ends_the_process_but_a_debugger_does_not(
        start: Any, peer: Peer, camera: Camera, tmp_path: pathlib.Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / 'commands'
    os.mkfifo(pipe)
    monkeypatch.setenv('LVS_TEST_PIPE', str(pipe))
    process = start('threshold:=0.0', f'watchdog_s:={WATCHDOG_S}', 'cpu_sharing:=turns',
                    'diagnostics_period_s:=0.1', code=DEBUGGED_AND_HUNG + MAIN)
    process.wait_for('debugged')
    with open(pipe, 'w', encoding='ascii') as commands:    # opens when the debugger does
        assert peer.diagnostics(lambda status: 'has been in work' in status.message).level == (
            DiagnosticStatus.ERROR)    # for twice as long as the watchdog waits
        assert process.popen.poll() is None
        commands.write('continue\n')
    process.wait_for('hung')
    assert process.end() == 1, process.output
    assert 'lvs_node: error: images arrive on /image_raw and none has been finished' in (
        process.output)
    assert 'in stopped' in process.output, 'where it hangs'


def test_where_masks_go_on_the_process_does_not_end(
        start: Any, peer: Peer, camera: Camera) -> None:
    process = start('threshold:=0.0', f'watchdog_s:={WATCHDOG_S}', 'cpu_sharing:=side_by_side',
                    'diagnostics_period_s:=0.1', code=HUNG_BESIDE_THE_FRAMES + MAIN)
    diagnosis = peer.diagnostics(lambda status: 'has not come back' in status.message)
    assert diagnosis.level == DiagnosticStatus.ERROR
    # Nor does it when it was stopped for a while, and finds on waking that much time has passed.
    process.popen.send_signal(signal.SIGSTOP)
    threading.Event().wait(2 * WATCHDOG_S)
    process.popen.send_signal(signal.SIGCONT)
    woken_s = time.time() + WATCHDOG_S
    assert peer.wait_until('/lvs/mask', lambda mask: mask.header.stamp.sec > woken_s)
    # Without images nothing is missing, even where the last ones came to nothing.
    camera.close()
    count = len(peer.received['/diagnostics'])
    diagnosis = peer.diagnostics(lambda status: 'no image on' in status.message)
    assert len(peer.received['/diagnostics']) > count and process.popen.poll() is None
    assert process.end(signal.SIGINT) == 0, process.output


def test_a_device_that_is_lost_ends_the_process(
        start: Any, peer: Peer, camera: Camera) -> None:
    process = start(code=LOST_DEVICE + MAIN)
    assert process.end() == 1, process.output
    assert 'lvs_node: error: the device cpu computes nothing any more' in process.output
    assert 'unspecified launch failure' in process.output
