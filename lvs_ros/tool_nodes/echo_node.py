# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A node that does nothing but answer: what the way over DDS costs without any segmentation.

``python -m lvs_ros.tool_nodes.echo_node`` answers each image with itself; with
``--mask WIDTH HEIGHT``, with a mask of that size. It is the least that
a node written with rclpy does.
"""

import argparse
import array
import sys

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import Image

from lvs_ros.node import qos


class EchoNode(Node):
    """Publishes on ~/image for each image on ~/image_raw.

    :param mask_size: (width, height) of the mask to answer with; None = the image itself.
    """

    def __init__(self, mask_size: tuple[int, int] | None = None) -> None:
        super().__init__('echo')
        self._mask_size = mask_size
        self._pixels = array.array('B')
        if mask_size is not None:
            self._pixels.frombytes(bytes(mask_size[0] * mask_size[1]))
        self._answers = self.create_publisher(Image, '~/image', qos.image_output())
        self.create_subscription(Image, '~/image_raw', self._on_image, qos.image_input())

    def _on_image(self, message: Image) -> None:
        self._answers.publish(message if self._mask_size is None else self._mask(message))

    def _mask(self, message: Image) -> Image:
        assert self._mask_size is not None
        width, height = self._mask_size
        return Image(header=message.header, width=width, height=height, step=width,
                     encoding='mono8', data=self._pixels)


def main() -> int:
    """Answer until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--mask', nargs=2, type=int, metavar=('WIDTH', 'HEIGHT'))
    args = parser.parse_args(remove_ros_args(sys.argv)[1:])
    rclpy.init(args=sys.argv)
    node = EchoNode(args.mask and tuple(args.mask))
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
