# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The node over DDS: at what size its network sees the images, and what it says of that."""

import dataclasses
import pathlib
from typing import Iterator, Optional

import pytest
import torch

pytest.importorskip('rclpy', reason='rclpy is not installed')

import node_rig  # noqa: E402
from node_rig import Rigs, image_message, picture, pixels, values  # noqa: E402

from lvs_ros.model import VARIANTS, SegmentationNetwork, save_network  # noqa: E402
from lvs_ros.options import PipelineOptions  # noqa: E402
from lvs_ros.pipeline.build import build_pipeline  # noqa: E402
from lvs_ros.pipeline.frame import Frame  # noqa: E402

LARGE = 203, 90    # width and height
SEEN = 79, 35      # with as many pixels as the training images below


@pytest.fixture
def make_rig(ros_domain: int, tiny_model: pathlib.Path) -> Iterator[Rigs]:
    yield from node_rig.rigs(tiny_model)


def model(folder: pathlib.Path, image_size: Optional[tuple[int, int]]) -> pathlib.Path:
    torch.manual_seed(0)
    config = dataclasses.replace(VARIANTS['tiny']('camvid', 11), image_size=image_size)
    save_network(SegmentationNetwork(config), folder / 'model.safetensors')
    return folder / 'model.safetensors'


@pytest.mark.parametrize('image_size, inference_size, seen, told', [
    ((64, 43), 'auto', SEEN, 'inference_size: image would keep 203x90'),
    ((64, 43), 'image', LARGE, "the image's own"),
    ((64, 43), '96x64', (96, 64), 'as inference_size says'),
    (None, 'auto', LARGE, 'the model does not tell the size of its training images'),
])
def test_a_large_image(make_rig: Rigs, tmp_path: pathlib.Path,
                       capfd: pytest.CaptureFixture[str], image_size: Optional[tuple[int, int]],
                       inference_size: str, seen: tuple[int, int], told: str) -> None:
    path = model(tmp_path, image_size)
    rig = make_rig(path, inference_size=inference_size)
    image = picture(height=LARGE[1], width=LARGE[0])
    mask, _ = rig.send(image_message(image))
    # The network, told that very size, makes the same mask, of the image's size.
    options = PipelineOptions(model=str(path), inference_size='{}x{}'.format(*seen),
                              cpu_threads=1)
    with build_pipeline(options) as pipeline:
        assert (pixels(mask) == pipeline.step(Frame(image, 0)).mask).all()

    def tells(text: str) -> bool:
        return '{}x{}'.format(*seen) in text and told in text

    assert rig.peer.diagnostics(lambda status: tells(values(status)['inference size']))
    assert any(tells(line) for line in capfd.readouterr().err.splitlines() if '203x90' in line)
