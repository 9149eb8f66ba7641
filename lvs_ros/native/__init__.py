# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Operators in C++, for the CPU: what torch has no fast way for.

``make setup`` and colcon compile them. Where they are missing (a computer without ROS, an unknown
processor), everything works without them, slower.
"""
