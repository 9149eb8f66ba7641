# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Too little shared memory: what is chosen and said, and the real node where there is none."""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from lvs_ros.dds_profile import PROFILE_VARIABLES, large_image_environment
from lvs_ros.shared_memory import choose_transport, free_bytes, image_warning

MB = 1_000_000
PROFILE = large_image_environment({})['FASTDDS_DEFAULT_PROFILES_FILE']
TIMEOUT_S = 120


@pytest.mark.parametrize('environ', [{}, {'FASTDDS_DEFAULT_PROFILES_FILE': PROFILE},
                                     {'ROS_DISTRO': 'jazzy'}])
def test_with_enough_memory_the_profile_is_used(environ: dict[str, str]) -> None:
    chosen = choose_transport(environ, 100 * MB)
    assert chosen.warning is None
    assert list({**environ, **chosen.environment}.values())[-1] == PROFILE


# What Docker gives is 67 108 864 bytes; the segment takes 70 255 136.
@pytest.mark.parametrize('free, transports, text', [
    (67_108_864, None, '67.1 MB free'), (70_255_136, None, '70.3 MB free'),
    (2 * MB, None, '2 MB free'), (500_000, 'UDPv4?sockets_size=4MB', '0.5 MB free'),
    (0, 'UDPv4?sockets_size=4MB', 'nothing free')])
def test_with_too_little_it_goes_on_without_and_says_so(
        free: int, transports: str | None, text: str) -> None:
    for environ in ({}, {'FASTDDS_DEFAULT_PROFILES_FILE': PROFILE}):
        chosen = choose_transport(environ, free)
        after = {**environ, **chosen.environment}
        assert not after.get('FASTDDS_DEFAULT_PROFILES_FILE')
        assert after.get('FASTDDS_BUILTIN_TRANSPORTS') == transports
        assert chosen.warning is not None
        for word in (text, '72 MB', '--shm-size'):
            assert word in chosen.warning


@pytest.mark.parametrize('environ', [
    {'FASTDDS_BUILTIN_TRANSPORTS': 'LARGE_DATA'}, {'RMW_IMPLEMENTATION': 'rmw_cyclonedds_cpp'}])
def test_what_the_user_chose_is_not_touched(environ: dict[str, str]) -> None:
    for free in (0, 100 * MB):
        chosen = choose_transport(environ, free)
        assert (dict(chosen.environment), chosen.warning) == ({}, None)
        assert image_warning(environ, 2048, 1024) is None


@pytest.mark.parametrize('name', ['FASTDDS_DEFAULT_PROFILES_FILE',
                                  'FASTRTPS_DEFAULT_PROFILES_FILE'])
def test_a_profile_of_the_user_is_kept_with_a_warning(name: str) -> None:
    environ = {name: '/etc/fastdds.xml'}
    assert choose_transport(environ, 100 * MB).warning is None
    chosen = choose_transport(environ, 1000)
    assert not chosen.environment
    assert chosen.warning is not None and f'{name}=/etc/fastdds.xml is kept' in chosen.warning


@pytest.mark.parametrize('environ, width, height, text', [
    ({}, 480, 360, None), ({}, 640, 480, '0.922 MB'), ({}, 2048, 1024, '6.29 MB'),
    ({'FASTDDS_DEFAULT_PROFILES_FILE': PROFILE}, 2048, 1024, None),
    ({'FASTDDS_BUILTIN_TRANSPORTS': 'UDPv4?sockets_size=4MB'}, 480, 360, '0.518 MB')])
def test_images_that_are_too_large_are_named(
        environ: dict[str, str], width: int, height: int, text: str | None) -> None:
    warning = image_warning(environ, width, height)
    if text is None:
        assert warning is None
    else:
        assert warning is not None and f'{width}x{height} has {text}' in warning


def test_a_folder_that_is_not_there_has_nothing_free(tmp_path: pathlib.Path) -> None:
    assert free_bytes(str(tmp_path)) > 0
    assert free_bytes(str(tmp_path / 'missing')) == 0


def with_memory(size: str, filled: int, *words: str) -> 'subprocess.CompletedProcess[str]':
    """Run a program where /dev/shm has this size, of which so many bytes are taken."""
    pytest.importorskip('rclpy', reason='rclpy is not installed')
    if shutil.which('unshare') is None:
        pytest.skip('unshare is not installed')
    may = subprocess.run(['unshare', '-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/dev/shm'],
                         capture_output=True, text=True)
    if may.returncode:
        pytest.skip(f'a mount namespace is not permitted: {may.stderr.strip()}')
    script = (f'mount -t tmpfs -o size={size} tmpfs /dev/shm && '
              f'head -c {filled} /dev/zero > /dev/shm/filled && exec "$@"')
    return subprocess.run(
        ['unshare', '-m', 'sh', '-c', script, 'sh', sys.executable, *words],
        env={**os.environ, **dict.fromkeys(PROFILE_VARIABLES, PROFILE)}, timeout=TIMEOUT_S,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_the_node_ends_with_the_reason_where_nothing_is_free(ros_domain: int) -> None:
    ended = with_memory('1m', 1 << 20, '-m', 'lvs_ros.node.executable')
    assert ended.returncode == 2, ended.stdout
    assert 'lvs_node: error: /dev/shm (shared memory) has nothing free' in ended.stdout


@pytest.mark.skipif(importlib.util.find_spec('torch') is None, reason='PyTorch is not installed')
def test_the_node_goes_on_where_the_segment_has_no_room(ros_domain: int) -> None:
    ended = with_memory('2m', 0, '-m', 'lvs_ros.node.executable', '--ros-args', '-p',
                        'warm_up_size:=[640, 480]', '-p', 'model:=missing')
    assert 'lvs_node: warning: /dev/shm (shared memory) has 2.1 MB free' in ended.stdout
    assert "no model 'missing'" in ended.stdout
    assert 'RTPS' not in ended.stdout, 'Fast DDS has what it needs'
    assert ended.returncode == 2
