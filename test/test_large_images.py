# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""2048x1024 images at 10 Hz between two processes: none gets lost without being counted."""

import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')
messages = pytest.importorskip('lvs_ros.msg', reason='the messages are not compiled')

from large_camera import HEIGHT, WIDTH  # noqa: E402
from listener import TIMEOUT_S, Listener  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402

from lvs_ros.dds_profile import large_image_environment  # noqa: E402

IMAGES, RATE_HZ = 20, 10
CAMERA = pathlib.Path(__file__).with_name('large_camera.py')


def accounted_for(status: Any) -> int:
    return status.frames_received + status.frames_dropped


@pytest.mark.parametrize('inference_size', ['image', '512x256'])
def test_large_images_get_a_mask_or_are_counted(
        ros_domain: int, tiny_model: pathlib.Path, inference_size: str) -> None:
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(('FASTDDS_', 'FASTRTPS_'))}
    environment.update(large_image_environment(environment))
    listener = Listener()
    listener.subscribe(messages.FrameStatus, '/lvs/status')
    listener.subscribe(Image, '/lvs/mask')
    camera = subprocess.Popen([sys.executable, str(CAMERA), str(IMAGES), str(RATE_HZ)],
                              env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True)
    node = subprocess.Popen(
        [sys.executable, '-m', 'lvs_ros.tools.cli', 'node', '--ros-args',
         '-p', f'model:={tiny_model}', '-p', f'warm_up_size:=[{WIDTH}, {HEIGHT}]',
         '-p', f'inference_size:={inference_size}'],
        env=environment)
    try:
        assert camera.stdin is not None and camera.stdout is not None
        assert camera.stdout.readline() == 'done\n'
        for sent in range(IMAGES + 1, IMAGES + TIMEOUT_S):    # even the last one may get lost
            camera.stdin.write('one more\n')
            camera.stdin.flush()
            if listener.wait_until('/lvs/status',
                                   lambda status: accounted_for(status) >= 0.95 * IMAGES,
                                   timeout_s=1):
                break
        status = listener.received['/lvs/status'][-1]
        print(f'{status.frames_received} masks and {status.frames_dropped} counted drops of '
              f'{sent} images')
        assert 0.95 * IMAGES <= accounted_for(status) <= sent
        mask = listener.wait_for('/lvs/mask', 1)[0]
        assert (mask.width, mask.height) == (WIDTH, HEIGHT)
    finally:
        camera.kill()
        node.terminate()
        for process in (camera, node):
            process.communicate(timeout=TIMEOUT_S)
        listener.close()
