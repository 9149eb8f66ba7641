# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Fixtures that several test files use."""

import fcntl
import os
import pathlib
import random
import signal
import tempfile
from typing import Iterator

import pytest
import ros_domains

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
# On Linux domains above 101 use ports that the system also hands out to other programs, and 0
# is where every robot of the neighbourhood is.
DOMAIN_IDS = range(1, 102)

# A shell lets what it starts in the background ignore Ctrl-C, and that is inherited: the programs
# that the tests start and interrupt shall be like those that a user starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Give this test, and the processes it starts, a ROS domain that nobody else is in.

    :return: the domain's id, set as ``ROS_DOMAIN_ID`` before ``rclpy.init`` reads it.
    """
    folder = pathlib.Path(tempfile.gettempdir()) / f'lvs_ros_domains_{os.getuid()}'
    folder.mkdir(exist_ok=True)
    for domain_id in random.sample(DOMAIN_IDS, len(DOMAIN_IDS)):
        with open(folder / str(domain_id), 'w', encoding='ascii') as lock:
            try:
                # Another pytest process may run at the same time; the system frees the lock of
                # one that dies.
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            # A lifecycle node that a test has destroyed is in its domain until the garbage
            # collector finds it, for rclpy keeps it in a cycle of references.
            if not ros_domains.is_empty(domain_id):
                continue
            monkeypatch.setenv('ROS_DOMAIN_ID', str(domain_id))
            monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
            monkeypatch.delenv('ROS_STATIC_PEERS', raising=False)
            monkeypatch.delenv('ROS_LOCALHOST_ONLY', raising=False)  # it overrides the range
            yield domain_id
            return
    pytest.fail(f'all ROS domains of {DOMAIN_IDS} are in use')


@pytest.fixture(scope='session')
def camvid_dir() -> pathlib.Path:
    """Return the CamVid folder, or skip where it is absent.

    It is looked for in ``LVS_CAMVID`` and then beside the checkout, in ../shared/data/camvid.
    """
    named = os.environ.get('LVS_CAMVID')
    folder = pathlib.Path(named) if named else REPOSITORY.parent / 'shared' / 'data' / 'camvid'
    if not (folder / 'val').is_dir():
        pytest.skip(f'CamVid is not at {folder}; name its folder in LVS_CAMVID')
    return folder


@pytest.fixture(scope='session')
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return the file of a small network with random weights: quick, and right about nothing."""
    import torch

    from lvs_ros.model import VARIANTS, SegmentationNetwork, save_network
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp('model') / 'tiny.safetensors'
    save_network(SegmentationNetwork(VARIANTS['tiny']('camvid', 11)), path)
    return path
