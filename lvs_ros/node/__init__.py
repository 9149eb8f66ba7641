# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The ROS side: messages, parameters, the lifecycle node.

Nothing but this and :mod:`lvs_ros.tool_nodes` imports rclpy.
"""
