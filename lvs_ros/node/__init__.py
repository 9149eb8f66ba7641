# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The ROS side: messages, parameters, the lifecycle node. The only importer of rclpy."""
