# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The executable lvs_node: killed, restarted, interrupted, started wrongly."""

import functools
import os
import pathlib
import signal
import subprocess
import sys
import threading
from typing import Any, Callable, Iterator, NoReturn, Optional

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from listener import TIMEOUT_S  # noqa: E402
from node_rig import HEIGHT, WIDTH, Peer, image_message, picture  # noqa: E402
import rclpy  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402

from lvs_ros.msg import FrameStatus  # noqa: E402
from lvs_ros.node import executable  # noqa: E402
from lvs_ros.node import main as node_main  # noqa: E402

MAIN = 'import sys; from lvs_ros.node.executable import main; sys.exit(main())'
# A job of S_h that is inside native calls of torch for half a minute, and cannot be stopped.
SLOW_JOB = """
import torch
from lvs_ros.pipeline.execution import background

usual_compute = background.compute

def compute(job):
    if job.stamp_ns < 10:    # of the warm-up
        return usual_compute(job)
    print('the slow job runs', flush=True)
    side = torch.ones(6000, 6000, dtype=torch.float64)
    side @ side @ side @ side

background.compute = compute
"""


class Process:
    """An lvs_node in a session of its own, so that what it leaves behind can be found."""

    def __init__(self, *words: str, code: str = MAIN) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, '-c', code, *words], start_new_session=True, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.lines: list[str] = []
        self._said = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            with self._said:
                self.lines.append(line)
                self._said.notify_all()

    def wait_for(self, text: str) -> None:
        with self._said:
            assert self._said.wait_for(lambda: any(text in line for line in self.lines),
                                       TIMEOUT_S), self.lines

    def end(self, number: Optional[int] = None) -> int:
        """Send a signal to the process, wait for its end and return its exit code."""
        if number is not None:
            self.popen.send_signal(number)
        code = self.popen.wait(TIMEOUT_S)
        self._reader.join(TIMEOUT_S)
        return code

    @property
    def output(self) -> str:
        return ''.join(self.lines)

    def leaves_nothing(self) -> bool:
        try:
            os.killpg(self.popen.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def close(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.end()


def words_of(model: pathlib.Path, *parameters: str) -> list[str]:
    """Return a command line; of two values of a parameter the last one counts."""
    given = [f'model:={model}', f'warm_up_size:=[{WIDTH}, {HEIGHT}]', 'cpu_threads:=1',
             *parameters]
    return ['--ros-args', *(word for parameter in given for word in ('-p', parameter))]


@pytest.fixture
def run_here(ros_domain: int, monkeypatch: pytest.MonkeyPatch,
             capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[..., tuple[int, str]]]:
    """Run lvs_node in this process, where it ends by itself: a process of its own takes seconds.

    The function takes the command line; it returns the exit code and all that was printed.
    """
    def leave(code: int) -> NoReturn:
        raise SystemExit(code)

    def run(*words: str) -> tuple[int, str]:
        try:
            code: Any = executable.main(words)
        except SystemExit as left:
            code = left.code
        return code, ''.join(capfd.readouterr())

    # It leaves so where a thread may still be at work, as another test's may be.
    monkeypatch.setattr(os, '_exit', leave)
    handler = signal.getsignal(signal.SIGTERM)
    yield run
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def start(ros_domain: int, tiny_model: pathlib.Path) -> Iterator[Any]:
    processes: list[Process] = []

    def start_node(*parameters: str, code: str = MAIN) -> Process:
        processes.append(Process(*words_of(tiny_model, *parameters), code=code))
        return processes[-1]

    yield start_node
    for process in processes:
        process.close()


@pytest.fixture
def peer(ros_domain: int) -> Iterator[Peer]:
    peer = Peer()
    peer.subscribe(Image, '/lvs/mask')
    peer.subscribe(FrameStatus, '/lvs/status')
    yield peer
    peer.close()


class Camera:
    """Publishes in a thread, at a camera's pace, until it is closed."""

    def __init__(self, peer: Peer) -> None:
        self._closed = threading.Event()
        self._peer = peer
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.wait(0.03):
            self._peer.publish(image_message(picture(), stamp_ns=self._peer.now_ns()))

    def close(self) -> None:
        self._closed.set()
        self._thread.join()


@pytest.fixture
def camera(peer: Peer) -> Iterator[Camera]:
    camera = Camera(peer)
    yield camera
    camera.close()


def test_killed_and_restarted_in_mid_stream(start: Any, peer: Peer, camera: Camera) -> None:
    first = start()
    peer.wait_for('/lvs/mask', 20)
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    last = max(status.frames_received for status in peer.received['/lvs/status'])
    second = start()
    peer.wait_until('/lvs/status', lambda status: status.frames_received == last + 20)
    statuses = peer.received['/lvs/status']
    counts = [status.frames_received for status in statuses]
    restart = next(index for index in range(1, len(counts)) if counts[index] < counts[index - 1])
    assert statuses[restart].key_frame, 'it begins anew'
    assert counts[restart:] == sorted(set(counts[restart:]))
    stamps_ns = [status.header.stamp.sec * 10**9 + status.header.stamp.nanosec
                 for status in statuses]
    assert stamps_ns == sorted(set(stamps_ns))
    assert second.end(signal.SIGINT) == 0
    assert 'Traceback' not in second.output


def test_stopped_during_a_slow_job_it_leaves_no_process(
        start: Any, peer: Peer, camera: Camera) -> None:
    # By SIGTERM; test_node_watchdog.py stops a node by SIGINT in such a job.
    process = start('threshold:=0.0', 'cpu_threads:=4', code=SLOW_JOB + MAIN)
    process.wait_for('the slow job runs')
    seen = len(peer.received['/lvs/mask'])
    peer.wait_for('/lvs/mask', seen + 3)  # meanwhile the masks go on
    assert process.end(signal.SIGTERM) == 0, process.output
    assert process.leaves_nothing()
    for word in ('Traceback', 'terminate', 'Aborted', 'Error'):
        assert word not in process.output


def test_stopped_while_the_model_loads(start: Any) -> None:
    process = start(code="""
import time
import lvs_ros.node.segmentation_node as module

def load(options):
    print('loading', flush=True)
    time.sleep(600)

module.SegmentationNode.__init__.__kwdefaults__['pipeline_factory'] = load
""" + MAIN)
    process.wait_for('loading')
    assert process.end(signal.SIGINT) == 0, process.output
    assert 'Traceback' not in process.output


def test_a_signal_between_two_looks_at_the_context_is_a_clean_end(
        run_here: Any, tiny_model: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The executor checks its context and then uses it; a signal may shut it down in between.
    class Executor(node_main.FrameExecutor):
        def spin(self) -> None:
            rclpy.shutdown()
            self.spin_once(timeout_sec=0)
            raise RuntimeError('the given context is not valid')

    monkeypatch.setattr(node_main, 'FrameExecutor', Executor)
    code, output = run_here(*words_of(tiny_model))
    assert code == 0, output
    assert 'Traceback' not in output


def test_without_memory_it_ends_with_the_reason(
        run_here: Any, tiny_model: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Executor(node_main.FrameExecutor):
        def spin(self) -> None:
            raise MemoryError('std::bad_alloc')

    monkeypatch.setattr(node_main, 'FrameExecutor', Executor)
    code, output = run_here(*words_of(tiny_model))
    assert code == 1, output
    assert 'lvs_node: error: out of memory: std::bad_alloc' in output
    assert 'Traceback' not in output


WRONG_PARAMETER = ('threshold:=1.5', 'lvs_node: error: wrong parameter threshold: 1.5 is not '
                                     'between 0')


@pytest.mark.parametrize('parameter, text', [
    WRONG_PARAMETER, ('model:=missing', "no model 'missing'"),
    ('labels:=missing', "no label set 'missing'"), ('device:=cuda:99', 'cuda:99')])
def test_a_wrong_parameter_ends_it_with_the_reason(
        run_here: Any, tiny_model: pathlib.Path, parameter: str, text: str) -> None:
    code, output = run_here(*words_of(tiny_model, parameter))
    assert code == 2, output
    assert text in output
    assert 'Traceback' not in output


def test_a_wrong_parameter_ends_the_process(start: Any) -> None:
    parameter, text = WRONG_PARAMETER
    process = start(parameter)
    assert process.end() == 2, process.output
    assert text in process.output
    assert 'Traceback' not in process.output


@pytest.mark.parametrize('words, code, text', [
    (['--help'], 0, 'usage: lvs_node'),
    (['--threshold', '0.2'], 2, 'unknown arguments: --threshold 0.2'),
    (['--ros-args', '--params-file', 'missing.yaml'], 2, 'missing.yaml'),
    (['--ros-args', '-p', 'threshold'], 2, 'lvs_node: error:'),
])
def test_wrong_arguments(run_here: Any, words: list[str], code: int, text: str) -> None:
    found, output = run_here(*words)
    assert found == code, output
    assert text in output
    assert 'Traceback' not in output


def test_a_domain_that_does_not_exist(run_here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('ROS_DOMAIN_ID', '233')
    code, output = run_here()
    assert code == 2, output
    assert 'ROS_DOMAIN_ID=233: expected 0 to 232' in output


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_stopped_while_ros_is_loaded(ros_domain: int, number: int) -> None:
    process = Process(code=f"""
import os
import lvs_ros.node.executable as module

def prepare(program):
    os.kill(os.getpid(), {int(number)})

module.prepare_shared_memory = prepare
""" + MAIN)
    assert process.end() == 0, process.output
    assert 'Traceback' not in process.output


def test_a_failure_that_a_restart_may_mend(
        run_here: Any, tiny_model: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(options: Any) -> NoReturn:
        raise RuntimeError('the device is busy')

    monkeypatch.setattr(node_main, 'SegmentationNode', functools.partial(
        node_main.SegmentationNode, pipeline_factory=load))
    code, output = run_here(*words_of(tiny_model))
    assert code == 1, output
    assert 'cannot configure: RuntimeError: the device is busy' in output
