# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""ROS nodes that tools and the benchmark run beside the node: cameras, listeners, echoes."""
