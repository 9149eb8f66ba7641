# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A node that does nothing but answer: what the way over DDS costs without any segmentation.

``python -m lvs_ros.tool_nodes.echo_node`` answers each image with itself. It is the least
that a node written with rclpy does.
"""

import sys

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import Image

from lvs_ros.node import qos


class EchoNode(Node):
    """Publishes on ~/image each image of ~/image_raw."""

    def __init__(self) -> None:
        super().__init__('echo')
        answers = self.create_publisher(Image, '~/image', qos.image_output())
        self.create_subscription(Image, '~/image_raw', answers.publish, qos.image_input())


def main() -> int:
    """Answer until told to stop."""
    rclpy.init(args=sys.argv)
    node = EchoNode()
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
