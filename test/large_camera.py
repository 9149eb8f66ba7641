# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A camera of large images, as a process: ``python large_camera.py COUNT RATE_HZ``.

It begins when somebody listens. After COUNT images it publishes one more for each line on its
standard input, by which the listener learns what it has missed; it ends with its input.
"""

import array
import sys
import time

import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

WIDTH, HEIGHT = 2048, 1024


def main() -> None:
    count, period_s = int(sys.argv[1]), 1 / float(sys.argv[2])
    rclpy.init()
    node = rclpy.create_node('large_camera')
    publisher = node.create_publisher(
        Image, 'image_raw', QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    message = Image(width=WIDTH, height=HEIGHT, encoding='rgb8', step=3 * WIDTH)
    message.data = array.array('B', bytes(range(256)) * (3 * WIDTH * HEIGHT // 256))

    def publish() -> None:
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)

    while publisher.get_subscription_count() == 0:
        time.sleep(0.05)
    start_s = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, start_s + number * period_s - time.monotonic()))
        publish()
    print('done', flush=True)
    for _ in sys.stdin:
        publish()


if __name__ == '__main__':
    main()
