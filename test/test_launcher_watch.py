# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A node ends with the launch that started it, and with nothing else."""

import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
from typing import Iterator

import pytest

from lvs_ros.launcher_watch import VARIABLE, ended_with_launcher

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
TIMEOUT_S = 60.0
_SET_CHILD_SUBREAPER = 36    # of <sys/prctl.h>

WATCHING = """
import os, signal, sys, time
from lvs_ros.launcher_watch import ended_with_launcher
signal.signal(signal.SIGTERM, {on_sigterm})
parent = os.getppid()
try:
    with ended_with_launcher(os.environ, patience_s={patience_s}):
        print('ready', os.getpid(), flush=True)
        while os.getppid() == parent or {is_stubborn}:
            time.sleep(0.01)
        time.sleep({then_s})
except KeyboardInterrupt:
    sys.exit(3)
sys.exit(4)
"""
# What ros2 launch does, with the variable or without it.
LAUNCHER = """
import os, subprocess, sys
from lvs_ros.launcher_watch import launcher_environment
environment = {{**os.environ, **({variables})}}
subprocess.Popen({command!r}, env=environment).wait()
"""


@pytest.fixture(autouse=True)
def orphans_come_here() -> Iterator[None]:
    """Let this process inherit the processes whose parent dies, to see how they end."""
    library = ctypes.CDLL(None)
    library.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    yield
    library.prctl(_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@contextlib.contextmanager
def running(command: list[str], sign: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run a launcher in this block; yield it and its output when a line has the sign in it."""
    lines: list[str] = []
    launcher = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, start_new_session=True)
    deadline = threading.Timer(TIMEOUT_S, os.killpg, (launcher.pid, signal.SIGKILL))
    deadline.start()
    try:
        assert launcher.stdout is not None
        for line in launcher.stdout:
            lines.append(line)
            if sign in line:
                break
        assert lines and sign in lines[-1], lines
        yield launcher, lines
    finally:
        deadline.cancel()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(launcher.pid, signal.SIGKILL)
        launcher.wait(TIMEOUT_S)
        assert launcher.stdout is not None
        launcher.stdout.close()


def launcher_of(command: list[str], variables: str = 'launcher_environment()') -> list[str]:
    return [sys.executable, '-c', LAUNCHER.format(command=command, variables=variables)]


def watching(on_sigterm: str = 'signal.default_int_handler', is_stubborn: bool = False,
             then_s: float = 60.0, patience_s: float = 60.0) -> list[str]:
    return [sys.executable, '-c', WATCHING.format(on_sigterm=on_sigterm, is_stubborn=is_stubborn,
                                                  then_s=then_s, patience_s=patience_s)]


def end_of(pid: int) -> int:
    """Return the exit code of an orphan; minus the signal's number when one ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGKILL])
def test_a_process_is_told_to_stop_when_its_launcher_dies(number: int) -> None:
    with running(launcher_of(watching()), 'ready') as (launcher, lines):
        launcher.send_signal(number)
        launcher.wait(TIMEOUT_S)
        assert end_of(int(lines[-1].split()[1])) == 3


def test_one_that_does_not_stop_is_killed() -> None:
    command = launcher_of(watching('signal.SIG_IGN', is_stubborn=True, patience_s=0.05))
    with running(command, 'ready') as (launcher, lines):
        launcher.kill()
        launcher.wait(TIMEOUT_S)
        assert end_of(int(lines[-1].split()[1])) == -signal.SIGKILL


def test_one_that_is_done_waits_for_nobody() -> None:
    with ended_with_launcher({VARIABLE: str(os.getppid())}):
        assert any(thread.name == 'launcher watch' for thread in threading.enumerate())
    assert not any(thread.name == 'launcher watch' for thread in threading.enumerate())


def test_one_that_was_started_otherwise_runs_on() -> None:
    with running(launcher_of(watching(then_s=0.0), variables='{}'), 'ready') as (launcher, lines):
        launcher.kill()
        launcher.wait(TIMEOUT_S)
        assert end_of(int(lines[-1].split()[1])) == 4


def test_one_whose_launcher_is_dead_already_does_not_begin() -> None:
    gone = subprocess.Popen([sys.executable, '-c', ''])
    gone.wait(TIMEOUT_S)
    ended = subprocess.run(watching(), env={**os.environ, VARIABLE: str(gone.pid)},
                           capture_output=True, text=True, timeout=TIMEOUT_S)
    assert (ended.returncode, ended.stdout) == (3, '')
    assert 'has died' in ended.stderr


def test_the_node_ends_with_its_launcher(tiny_model: pathlib.Path, ros_domain: int) -> None:
    pytest.importorskip('rclpy', reason='rclpy is not installed')
    node = [sys.executable, '-m', 'lvs_ros.node.executable', '--ros-args',
            '-p', f'model:={tiny_model}', '-p', 'warm_up_size:=[64, 48]']
    with running(launcher_of(node), 'waiting for images') as (launcher, lines):
        pid = node_of(launcher.pid)
        launcher.kill()
        launcher.wait(TIMEOUT_S)
        assert end_of(pid) == 0


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGKILL])
def test_the_node_ends_with_ros2_launch(number: int, tiny_model: pathlib.Path,
                                        ros_domain: int) -> None:
    pytest.importorskip('launch_ros', reason='launch_ros is not installed; it comes with ROS 2')
    if shutil.which('ros2') is None:
        pytest.skip('the command ros2 is not installed; it comes with ROS 2')
    command = ['ros2', 'launch', str(REPOSITORY / 'launch' / 'lvs.launch.py'),
               f'model:={tiny_model}', 'warm_up_size:=64x48']
    with running(command, 'waiting for images') as (launcher, lines):
        pid = node_of(launcher.pid)
        launcher.send_signal(number)
        launcher.wait(TIMEOUT_S)
        assert end_of(pid) == 0


def node_of(parent: int) -> int:
    """Return the process of the node that a launcher has started."""
    children = pathlib.Path(f'/proc/{parent}/task/{parent}/children').read_text().split()
    return next(int(pid) for pid in children
                if b'--ros-args' in pathlib.Path(f'/proc/{pid}/cmdline').read_bytes())
