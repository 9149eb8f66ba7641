# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Kilted beside Jazzy: their pins, env.sh that is told which one, and the counts of both."""

import os
import pathlib
import re
import runpy
import shutil
import subprocess
import sys

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
# The first two digits of rclpy and of rmw_fastrtps_cpp in each distribution (docs.ros.org), the
# library of Fast DDS that it has, and the variable that this library reads a profile from.
DISTRIBUTIONS = {
    'kilted': ('9.1', '9.3', 'ros-fastdds==3', 'FASTDDS_DEFAULT_PROFILES_FILE'),
    'jazzy': ('7.1', '8.4', 'ros-fastrtps==2', 'FASTRTPS_DEFAULT_PROFILES_FILE')}
FOLDERS = {'kilted': ('.venv', '.build'), 'jazzy': ('.venv-jazzy', '.build-jazzy')}


@pytest.mark.parametrize('distribution', DISTRIBUTIONS)
def test_all_of_ros_is_pinned_for_each_distribution(distribution: str) -> None:
    shared = (REPOSITORY / 'requirements.txt').read_text('utf-8')
    assert not re.search('^ros-', shared, re.MULTILINE)
    pins = [line for line in (REPOSITORY / f'requirements-{distribution}.txt').read_text('utf-8')
            .splitlines() if line and not line.startswith('#')]
    assert all(re.fullmatch(r'ros-[a-z0-9-]+(\[fastrtps\])?==[\d.]+', pin) for pin in pins)
    rclpy, rmw, dds, _ = DISTRIBUTIONS[distribution]
    for start in f'ros-rclpy[fastrtps]=={rclpy}.', f'ros-rmw-fastrtps-cpp=={rmw}.', f'{dds}.':
        assert sum(pin.startswith(start) for pin in pins) == 1, start


@pytest.fixture
def checkout(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return a folder with env.sh and an environment of each distribution that has no packages."""
    shutil.copy(REPOSITORY / 'env.sh', tmp_path)
    for venv, _ in FOLDERS.values():
        (tmp_path / venv / 'bin').mkdir(parents=True)
        for name in '.ready', 'bin/activate':
            (tmp_path / venv / name).touch()
        python = tmp_path / venv / 'bin' / 'python'
        python.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E "$@"\n')
        python.chmod(0o755)
    return tmp_path


def sourced(checkout: pathlib.Path, shell: str, commands: str) -> dict[str, str]:
    """Return the environment that the shell has after the commands, from another folder."""
    if shutil.which(shell) is None:
        pytest.skip(f'{shell} is not installed')
    told = subprocess.run([shell, '-c', f'{commands}; env'], cwd='/', capture_output=True,
                          text=True, check=True,
                          env={'PATH': os.environ['PATH'], 'ENV_SH': str(checkout / 'env.sh')})
    return dict(line.split('=', 1) for line in told.stdout.splitlines() if '=' in line)


@pytest.mark.parametrize(('shell', 'commands', 'distribution'), [
    ('bash', '. "$ENV_SH"; LVS_ROS=jazzy . "$ENV_SH"', 'jazzy'),
    ('bash', 'LVS_ROS=jazzy . "$ENV_SH"; . "$ENV_SH"', 'kilted'),
    ('zsh', 'LVS_ROS=jazzy . "$ENV_SH"', 'jazzy')])
def test_the_shell_is_in_the_distribution_that_was_named_last(
        checkout: pathlib.Path, shell: str, commands: str, distribution: str) -> None:
    environment = sourced(checkout, shell, commands)
    venv, build = FOLDERS[distribution]
    assert environment['ROS_DISTRO'] == distribution
    assert environment['AMENT_PREFIX_PATH'] == f'{checkout}/{build}/install:{checkout}/{venv}'
    assert environment['PATH'].startswith(f'{checkout}/{build}/install/lib/lvs_ros:')
    assert environment['LD_LIBRARY_PATH'].startswith(f'{checkout}/{build}/install/lib:')
    profiles = {name: value for name, value in environment.items() if 'PROFILES_FILE' in name}
    assert profiles == {
        DISTRIBUTIONS[distribution][3]: f'{checkout}/config/fastdds_large_images.xml'}


def test_a_distribution_that_is_not_installed_is_told(checkout: pathlib.Path) -> None:
    told = subprocess.run(['bash', '-c', 'LVS_ROS=humble . ./env.sh'], cwd=checkout,
                          capture_output=True, text=True)
    assert told.returncode == 1
    assert f'make -C {checkout} setup ROS=humble' in told.stderr
    told = subprocess.run([REPOSITORY / 'scripts' / 'setup.sh'], capture_output=True, text=True,
                          env={**os.environ, 'LVS_ROS': 'humble'})
    assert told.returncode == 1
    assert 'ROS=humble' in told.stderr and 'ROS=kilted or ROS=jazzy' in told.stderr


# What pytest 9.2 wrote with --junitxml, without times and texts
REPORT = """<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests">
<testsuite name="pytest" errors="1" failures="1" skipped="1" tests="5">
<testcase classname="test_all" name="test_passes" />
<testcase classname="test_all" name="test_passes_too" />
<testcase classname="test_all" name="test_fails"><failure message="no">1</failure></testcase>
<testcase classname="test_all" name="test_skips"><skipped type="pytest.skip">2</skipped></testcase>
<testcase classname="test_all" name="test_has_no_fixture"><error message="no">3</error></testcase>
</testsuite></testsuites>"""


def test_the_counts_are_shown_side_by_side(
        tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad, missing = (tmp_path / f'{name}.xml' for name in ('good', 'bad', 'missing'))
    bad.write_text(REPORT)
    good.write_text(re.sub('<(failure|error).*</(failure|error)>', '', REPORT))
    main = runpy.run_path(str(REPOSITORY / 'scripts' / 'count_tests.py'))['main']

    def table(*arguments: str) -> tuple[int, list[list[str]]]:
        status = main(list(arguments))
        return status, [line.split() for line in capsys.readouterr().out.splitlines()]

    heading = ['distribution', 'passed', 'failed', 'skipped']
    assert table(f'kilted={good}', f'jazzy={good}') == (
        0, [heading, ['kilted', '4', '0', '1'], ['jazzy', '4', '0', '1']])
    assert table(f'kilted={good}', f'jazzy={bad}') == (
        1, [heading, ['kilted', '4', '0', '1'], ['jazzy', '2', '2', '1']])
    status, lines = table(f'kilted={missing}', f'jazzy={good}')
    assert status == 1 and lines[1][:4] == ['kilted', 'did', 'not', 'finish:']
