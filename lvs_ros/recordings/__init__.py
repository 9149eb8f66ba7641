# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Rosbags and videos: reading, writing, playing; without a ROS installation."""
