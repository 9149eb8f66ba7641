# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The ROS side: messages, parameters, the lifecycle node. The only importer of rclpy."""

import os

# The OpenMP threads of torch wait for each other by spinning, unless told otherwise before torch
# is loaded. On a vehicle's computer, with two networks and other programs on the same cores, those
# that spin are in the way of those that work, and the slowest frames take many times the median.
os.environ.setdefault('OMP_WAIT_POLICY', 'passive')
