# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Fixtures that several test files use."""

import contextlib
import os
import pathlib
import signal
import sys
from typing import Iterator

import cv2
import numpy as np
import pytest
import ros_domains

from lvs_ros.dds_profile import PROFILE_VARIABLES, large_image_environment
from lvs_ros.program_settings import prepare_process

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent

# A shell lets what it starts in the background ignore Ctrl-C, and that is inherited: the programs
# that the tests start and interrupt shall be like those that a user starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
prepare_process()

# Of ROS participants that start one after the other, the later one often waits three seconds until
# the earlier one sees it. And with the profile for large images, which env.sh names and the
# programs choose by themselves, each takes a third of a second to start; nearly all images of the
# tests are small.
for variable in PROFILE_VARIABLES:
    os.environ.pop(variable, None)
DISTRIBUTION = {'ROS_DISTRO': os.environ.get('ROS_DISTRO', '')}
for variable in large_image_environment(DISTRIBUTION):
    os.environ[variable] = str(REPOSITORY / 'test' / 'quick_discovery.xml')


@pytest.fixture
def large_image_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the processes that this test starts the profile for large images, as env.sh does."""
    for name, value in large_image_environment(DISTRIBUTION).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def ros_domain() -> Iterator[int]:
    """Give this test, and the processes it starts, a ROS domain that nobody else is in."""
    with ros_domains.entered() as domain_id:
        yield domain_id


@pytest.fixture(scope='module')
def one_thread() -> Iterator[None]:
    """Let torch use one thread: those of so small a network only wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope='module')
def one_core(one_thread: None) -> Iterator[None]:
    """Let the pipelines, too, use one core: another one for each of the processes that test."""
    before = os.sched_getaffinity(0)
    number = int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw'))
    os.sched_setaffinity(0, {sorted(before)[number % len(before)]})
    yield
    os.sched_setaffinity(0, before)


@pytest.fixture
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a training draw no curves: to draw them takes most of the time of so small a one."""
    monkeypatch.setattr('lvs_ros.training.loop.plot_curves', lambda _folder: None)


@pytest.fixture
def bare_training(no_curves: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a training write nothing for TensorBoard either, which takes seconds to import."""
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', None)


@pytest.fixture(scope='module')
def no_collections() -> Iterator[None]:
    """Let nobody look for garbage before each drive or row: a fifth of a second each time."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ('evaluation.run', 'evaluation.playing', 'benchmark.benchmark'):
            patch.setattr(f'lvs_ros.{module}.uncollected', contextlib.nullcontext)
        yield


@pytest.fixture
def one_pixel_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write one pixel for every figure: laying out and drawing a figure takes a second."""
    pixel = cv2.imencode('.png', np.zeros((1, 1, 3), np.uint8))[1].tobytes()
    monkeypatch.setattr('matplotlib.figure.Figure.savefig',
                        lambda _figure, file, **_options: file.write(pixel))


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
    torch = pytest.importorskip('torch', reason='PyTorch is not installed')

    from lvs_ros.model import VARIANTS, SegmentationNetwork, save_network
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp('model') / 'tiny.safetensors'
    save_network(SegmentationNetwork(VARIANTS['tiny']('camvid', 11)), path)
    return path
